"""Time alone changes membership: a sweep finds exactly those whom a full recalculation would move."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.accounts import project
from core.accounts.actors import SYSTEM
from groups import boundaries, membership, recalculation
from groups.groups_store import create_group
from groups.models import Group, GroupKind, GroupMembershipChange, GroupRuleUse
from profiles.models import ProfileDate, ProfilePropertyRule
from tests.factories import make_profiles, make_rule, set_properties
from tests.groups.people import calculated, expected, forget_caches, logged, make_rules, members, recalculate_all
from tests.groups.strategies import NOW, people, stored_date, trees

pytestmark = pytest.mark.django_db
SetClock = Callable[[datetime], None]

KEYS = ("the_date", "the_string", "the_integer")


def bought(operator: str, amount: int, unit: str, **more: Any) -> dict[str, Any]:
    """A relative rule about the last purchase."""
    return {"property": "last_purchase", "operator": operator, "value": {"amount": amount, "unit": unit}, **more}


@pytest.fixture
def last_purchase() -> ProfilePropertyRule:
    """A date property."""
    return make_rule("last_purchase", "date")


def at(text: str) -> datetime:
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_purchase_leaves_the_past_7_days_when_its_time_has_come(
    last_purchase: ProfilePropertyRule, set_clock: SetClock
) -> None:
    set_clock(at("2024-03-01T12:00"))
    [alice, _, charlie] = make_profiles(
        [{"last_purchase": stored_date(at(f"2024-{day}T12:00"))} for day in ("02-25", "02-20", "03-02")]
    )
    group = calculated("Lately", bought("in_the_past", 7, "days"))
    recalculate_all()
    assert members(group) == {alice}, "neither who bought long ago nor who will buy tomorrow"
    set_clock(at("2024-03-02T12:00"))
    assert boundaries.sweep() == 1
    assert members(group) == {alice, charlie}
    set_clock(at("2024-03-03T11:59:59"))
    assert boundaries.sweep() == 0
    set_clock(at("2024-03-03T12:00"))
    assert boundaries.sweep() == 1
    assert members(group) == {charlie} == logged(group)
    assert set(GroupMembershipChange.objects.order_by("-id").values_list("cause", flat=True)[:2]) == {"time"}


def test_after_a_pause_of_weeks_one_sweep_makes_good_for_all_of_it(
    last_purchase: ProfilePropertyRule, set_clock: SetClock
) -> None:
    set_clock(at("2024-01-01T00:00"))
    make_profiles([{"last_purchase": stored_date(at("2023-12-01T00:00") + timedelta(days=n))} for n in range(60)])
    group = calculated("Long ago", bought("more_than_ago", 1, "months"))
    recalculate_all()
    set_clock(at("2024-02-20T00:00"))
    boundaries.sweep()
    assert members(group) == expected(group, now=at("2024-02-20T00:00"))


def test_a_group_of_a_property_that_was_not_followed_before_gets_its_dates_first(
    last_purchase: ProfilePropertyRule, set_clock: SetClock
) -> None:
    set_clock(at("2024-03-01T12:00"))
    [alice, _] = make_profiles([{"last_purchase": stored_date(at("2024-02-25T12:00"))}, {}])
    assert not ProfileDate.objects.exists()
    calculated("Lately", bought("in_the_past", 7, "days"))
    recalculate_all()
    assert list(ProfileDate.objects.values_list("profile_id", "at")) == [(alice, at("2024-02-25T12:00"))]


def test_dates_that_are_complete_are_not_filled_in_again(
    last_purchase: ProfilePropertyRule, set_clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_clock(at("2024-03-01T12:00"))
    make_profiles([{}])
    group = calculated("Lately", bought("in_the_past", 7, "days"))
    assert recalculation.undated_rules(group) == {last_purchase.pk}
    recalculate_all()
    other = calculated("Long ago", bought("more_than_ago", 7, "days"))
    assert recalculation.undated_rules(other) == set()


def test_a_group_that_is_being_recalculated_is_left_to_that(
    last_purchase: ProfilePropertyRule, set_clock: SetClock
) -> None:
    set_clock(at("2024-03-01T12:00"))
    [alice] = make_profiles([{"last_purchase": stored_date(at("2024-02-25T12:00"))}])
    group = calculated("Long ago", bought("more_than_ago", 7, "days"))
    set_clock(at("2024-03-09T12:00"))
    assert boundaries.sweep() == 0
    recalculate_all()
    assert members(group) == {alice}
    set_clock(at("2024-03-10T12:00"))
    assert boundaries.sweep() == 0
    assert members(group) == {alice}


def test_a_value_written_between_two_sweeps_still_flips_at_its_time(
    last_purchase: ProfilePropertyRule, set_clock: SetClock
) -> None:
    set_clock(at("2024-03-01T12:00"))
    [alice] = make_profiles([{}])
    group = calculated("Lately", bought("in_the_past", 1, "hours"))
    recalculate_all()
    set_clock(at("2024-03-01T12:10"))
    set_properties(alice, {"last_purchase": stored_date(at("2024-03-01T11:20"))})
    with transaction.atomic():
        assert membership.refresh([alice], changed_rules=frozenset([last_purchase.pk]), created=False) == 1
    set_clock(at("2024-03-01T12:30"))
    assert boundaries.sweep() == 1
    assert members(group) == set() == logged(group)


def test_a_sweep_without_anyone_to_move_takes_no_lock_and_writes_nothing(
    last_purchase: ProfilePropertyRule, set_clock: SetClock
) -> None:
    set_clock(at("2024-03-01T12:00"))
    make_profiles([{"last_purchase": stored_date(at("2024-02-25T12:00"))}])
    calculated("Lately", bought("in_the_past", 7, "days"))
    recalculate_all()
    before = list(GroupRuleUse.objects.values())
    set_clock(at("2024-03-01T13:00"))
    assert boundaries.sweep() == 0
    assert list(GroupRuleUse.objects.values()) == before


STEPS = st.lists(
    st.sampled_from(
        [timedelta(minutes=1), timedelta(minutes=30), timedelta(hours=7), timedelta(days=1), timedelta(days=29)]
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    tree=trees(("the_date",), relative=True) | trees(KEYS),
    persons=st.lists(people(KEYS), min_size=10, max_size=10),
    begin=st.sampled_from([NOW, at("2024-02-28T22:00"), at("2024-03-10T05:00"), at("2023-12-31T23:59")]),
    steps=STEPS,
    zone=st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe"]),
)
def test_sweeps_over_any_steps_agree_with_plain_python_and_leave_nothing_to_a_recalculation(
    set_clock: SetClock,
    tree: dict[str, Any],
    persons: list[dict[str, Any]],
    begin: datetime,
    steps: list[timedelta],
    zone: str,
) -> None:
    forget_caches()
    with transaction.atomic():
        project.update({"time_zone": zone}, actor=SYSTEM)
        project.forget()
        set_clock(begin)
        make_rules(*KEYS)
        make_profiles(persons)
        group = create_group("Moving", kind=GroupKind.CALCULATED, rules=tree, actor=SYSTEM)
        recalculate_all()
        now = begin
        for step in steps:
            now += step
            set_clock(now)
            boundaries.sweep()
            assert members(group) == expected(group, now=now, zone=ZoneInfo(zone)) == logged(group)
        _assert_recalculation_moves_nobody(group)
        transaction.set_rollback(True)


def _assert_recalculation_moves_nobody(group: Group) -> None:
    before = GroupMembershipChange.objects.count()
    recalculation.start(group.pk, version=group.rules_version)
    recalculate_all()
    assert GroupMembershipChange.objects.count() == before
