"""Another time zone moves the days: whoever is in a group because of a date follows, once every process knows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from django.db.models.functions import Now

from core.accounts import project
from core.accounts.actors import SYSTEM
from core.work.models import Work
from groups import recalculation, time_zone
from groups.models import Group
from tests.factories import make_profiles, make_rule
from tests.groups.people import calculated, expected, logged, members, recalculate_all
from tests.groups.strategies import stored_date

pytestmark = pytest.mark.django_db

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)  # the day after the clocks of Berlin were put forward


@pytest.fixture
def groups(set_clock: Callable[[datetime], None]) -> dict[str, Group]:
    """One group by whole days, one by days that lie back, one without dates; all of them calculated in UTC."""
    make_rule("born", "date")
    make_rule("first_name")
    set_clock(NOON)
    make_profiles(
        [
            {"first_name": "Alice", "born": stored_date(datetime(2026, 3, 28, 23, 30, tzinfo=UTC))},
            {"first_name": "Bob", "born": stored_date(datetime(2026, 3, 28, 12, 30, tzinfo=UTC))},
        ]
    )
    made = {
        "days": calculated("days", {"property": "born", "operator": "on_or_after", "value": "2026-03-29"}),
        "back": calculated(
            "back", {"property": "born", "operator": "in_the_past", "value": {"amount": 2, "unit": "days"}}
        ),
        "names": calculated("names", {"property": "first_name", "operator": "equals", "value": "Alice"}),
    }
    recalculate_all()
    return made


def move_to_berlin() -> None:
    project.update({"time_zone": BERLIN.key}, actor=SYSTEM)
    project.forget()
    Work.objects.filter(kind=project.ZONE_WORK).update(next_at=Now())


def test_groups_that_read_dates_follow_another_time_zone(groups: dict[str, Group]) -> None:
    before = {name: members(group) for name, group in groups.items()}
    assert {name: len(found) for name, found in before.items()} == {"days": 0, "back": 2, "names": 1}
    move_to_berlin()
    time_zone.follow()
    recalculate_all()
    for group in groups.values():
        assert members(group) == expected(group, now=NOON, zone=BERLIN) == logged(group)
    assert [len(members(groups[name])) for name in ("days", "back")] == [1, 1]


def test_groups_without_dates_are_left_alone(groups: dict[str, Group]) -> None:
    move_to_berlin()
    time_zone.follow()
    assert set(Work.objects.filter(kind="group", state="pending").values_list("subject", flat=True)) == {
        str(groups[name].pk) for name in ("days", "back")
    }


def test_a_recalculation_under_way_begins_anew_in_the_new_zone(groups: dict[str, Group]) -> None:
    recalculation.start(groups["days"].pk, version=groups["days"].rules_version)
    move_to_berlin()
    time_zone.follow()
    recalculate_all()
    assert members(groups["days"]) == expected(groups["days"], now=NOON, zone=BERLIN)


def test_the_work_waits_until_every_process_knows_the_new_zone(groups: dict[str, Group]) -> None:
    project.update({"time_zone": BERLIN.key}, actor=SYSTEM)
    [due] = Work.objects.filter(kind=project.ZONE_WORK).values_list("next_at", flat=True)
    assert (due - datetime.now(UTC)).total_seconds() > project.CACHE_SECONDS


def test_other_settings_recalculate_nothing(groups: dict[str, Group]) -> None:
    project.update({"name": "Marlow Outfitters", "time_zone": "UTC"}, actor=SYSTEM)
    assert not Work.objects.filter(kind=project.ZONE_WORK).exists()
