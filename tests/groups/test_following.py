"""Groups that read groups, events and the profile itself: they follow at once, in order, and never in a circle."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from core.accounts import project
from core.accounts.actors import SYSTEM
from core.lib.errors import InvalidInput
from groups import boundaries, groups_store, membership
from groups.explaining import explain
from groups.models import Group, GroupKind, GroupMembershipChange
from profiles import ruleset
from profiles.models import Profile, ProfileDate, ProfilePropertyRule
from tests.factories import make_profiles, make_rule, set_properties
from tests.groups.people import calculated, forget_caches, logged, members, recalculate_all
from tests.pipeline.people import event, rule, take

pytestmark = pytest.mark.django_db
SetClock = Callable[[datetime], None]

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
SPENT = {"property": "ltv", "operator": "greater_than", "value": 0}


@pytest.fixture
def ltv() -> ProfilePropertyRule:
    return make_rule("ltv", "float")


def reads(group: Group, operator: str = "in") -> dict[str, Any]:
    return {"group": group.pk, "operator": operator}


def test_a_change_of_one_property_reaches_every_group_that_depends_on_it(ltv: ProfilePropertyRule) -> None:
    [alice] = make_profiles([{}])
    first = calculated("First", SPENT)
    chain = [first]
    for number in range(5):
        chain.append(calculated(f"Reads {number}", reads(chain[-1])))
    without = calculated("Not in the last", reads(chain[-1], "not_in"))
    recalculate_all()
    set_properties(alice, {"ltv": 5})
    with transaction.atomic():
        assert membership.refresh([alice], changed_rules=frozenset([ltv.pk]), created=False) == 7
    assert [members(group) for group in chain] == [{alice}] * 6
    assert members(without) == set() == logged(without)


def test_a_recalculation_of_a_group_is_followed_by_those_that_read_it(ltv: ProfilePropertyRule) -> None:
    alice, bob = make_profiles([{"ltv": 5}, {"ltv": 0}])
    spenders = calculated("Spenders", SPENT)
    others = calculated("Others", reads(spenders, "not_in"))
    recalculate_all()
    assert (members(spenders), members(others)) == ({alice}, {bob})
    groups_store.update_rules(spenders.pk, {"match": "all", "rules": [{**SPENT, "value": -1}]}, actor=SYSTEM)
    recalculate_all()
    assert (members(spenders), members(others)) == ({alice, bob}, set())
    left = GroupMembershipChange.objects.filter(group_id=others.pk, joined=False).get()
    assert left.cause == f"group:{spenders.pk}"


def test_a_circle_of_groups_is_refused_and_named(ltv: ProfilePropertyRule) -> None:
    first = calculated("First", SPENT)
    second = calculated("Second", reads(first))
    third = calculated("Third", {"match": "none", "rules": [reads(second)]})
    with pytest.raises(InvalidInput, match="First reads Third reads Second reads First") as refused:
        groups_store.update_rules(first.pk, {"match": "any", "rules": [SPENT, reads(third)]}, actor=SYSTEM)
    assert list(refused.value.fields) == ["rules.1.group"]
    with pytest.raises(InvalidInput, match="First reads First"):
        groups_store.update_rules(first.pk, {"match": "any", "rules": [reads(first)]}, actor=SYSTEM)
    with pytest.raises(InvalidInput, match="There is no group 999"):
        calculated("Ghosts", {"group": 999, "operator": "in"})


def test_what_people_do_counts_at_once_and_leaves_the_window_in_time(set_clock: SetClock) -> None:
    set_clock(NOW)
    email = rule("email", "email", is_unique=True)
    twice = {"event": "Purchase", "operator": "at_least", "value": 2, "within": {"amount": 7, "unit": "days"}}
    large = {"key": "total", "type": "number", "operator": "greater_than_or_equal", "value": 10}
    buyers = calculated("Buyers", {**twice, "where": [large]})
    never = calculated("Never", {"event": "Purchase", "operator": "did_not"})
    recalculate_all()

    def buy(total: Any, at: datetime) -> None:
        take(event({"email": "alice@example.com", "total": total}, type="Purchase", at=at))

    take(event({"email": "alice@example.com"}, type="Sign-up", at=NOW))
    assert len(members(never)) == 1
    buy(12, NOW - timedelta(days=3))
    buy(9.99, NOW)
    assert members(buyers) == set() == members(never)
    buy("10", NOW - timedelta(days=1))
    assert len(members(buyers)) == 1
    set_clock(NOW + timedelta(days=4) - timedelta(seconds=1))
    assert boundaries.sweep() == 0
    set_clock(NOW + timedelta(days=4))
    assert boundaries.sweep() == 1
    assert members(buyers) == set() == logged(buyers)
    assert email.pk


def test_an_event_said_to_lie_ahead_counts_when_its_time_has_come(set_clock: SetClock) -> None:
    set_clock(NOW)
    rule("email", "email", is_unique=True)
    lately = calculated("Lately", {"event": "Visit", "operator": "did", "within": {"amount": 1, "unit": "hours"}})
    recalculate_all()
    take(event({"email": "alice@example.com"}, type="Visit", at=NOW + timedelta(minutes=30)))
    assert members(lately) == set()
    set_clock(NOW + timedelta(minutes=30))
    assert boundaries.sweep() == 1
    set_clock(NOW + timedelta(minutes=90))
    assert boundaries.sweep() == 1
    assert members(lately) == set()


@pytest.mark.parametrize("field", ["created_at", "updated_at"])
def test_the_times_of_the_profile_itself_move_people_too(set_clock: SetClock, field: str) -> None:
    set_clock(NOW)
    rule("email", "email", is_unique=True)
    rule("name")
    asked = {"profile": field, "operator": "in_the_past", "value": {"amount": 1, "unit": "days"}}
    fresh = calculated("Fresh", asked)
    forget_caches()
    recalculate_all()
    assert ruleset.load().follows_updates is (field == "updated_at")
    take(event({"email": "alice@example.com"}))
    [alice] = members(fresh)
    begun = datetime.now(UTC)
    set_clock(begun + timedelta(days=2))
    assert boundaries.sweep() == 1
    assert members(fresh) == set()
    assert ProfileDate.objects.filter(profile_id=alice).exists() is (field == "updated_at")


def test_people_who_are_known_already_get_their_last_change_followed(set_clock: SetClock) -> None:
    set_clock(NOW)
    [old] = make_profiles([{}], born=NOW - timedelta(days=3))
    make_profiles([{}], born=NOW)
    asked = {"profile": "updated_at", "operator": "more_than_ago", "value": {"amount": 2, "unit": "days"}}
    quiet = calculated("Quiet", asked)
    recalculate_all()
    assert members(quiet) == {old}
    assert ProfileDate.objects.filter(rule_id=0).count() == 2


def test_events_have_to_be_kept_as_long_as_groups_look_back() -> None:
    asked = {"event": "Purchase", "operator": "did", "within": {"amount": 3, "unit": "years"}}
    with pytest.raises(InvalidInput, match="kept for 365 days") as refused:
        calculated("Old buyers", asked)
    assert list(refused.value.fields) == ["rules.0.within"]
    calculated("Buyers", {**asked, "within": {"amount": 2, "unit": "months"}})
    with pytest.raises(InvalidInput, match="The group Buyers looks further back than 30 days"):
        project.update({"event_retention_days": 30}, actor=SYSTEM)
    project.update({"event_retention_days": 90}, actor=SYSTEM)


def test_groups_that_count_over_all_time_are_calculated_anew_when_old_events_go() -> None:
    ever = calculated("Ever", {"event": "Purchase", "operator": "did"})
    calculated("Lately", {"event": "Purchase", "operator": "did", "within": {"amount": 1, "unit": "days"}})
    recalculate_all()
    assert groups_store.recalculate_groups_of_all_time(actor=SYSTEM) == 1
    ever.refresh_from_db()
    assert ever.calculated_version < ever.rules_version


def test_an_explanation_names_groups_and_events_and_what_is_missing(ltv: ProfilePropertyRule) -> None:
    rule("email", "email", is_unique=True)
    guests = groups_store.create_group("Guests", kind=GroupKind.MANUAL, actor=SYSTEM)
    bought = {"event": "Purchase", "operator": "at_least", "value": 3}
    tree = {"match": "any", "rules": [SPENT, {"match": "all", "rules": [bought, reads(guests, "not_in")]}]}
    group = groups_store.create_group("Good", kind=GroupKind.CALCULATED, rules=tree, actor=SYSTEM)
    recalculate_all()
    take(*[event({"email": "alice@example.com"}, type="Purchase") for _ in range(2)])

    alice = Profile.objects.get()
    found = explain(alice, [group], now=datetime.now(UTC))[group.pk]
    assert (found.holds, found.missing, found.nearest) == (False, 1, "ltv is greater than 0")
    assert [(reason.kind, reason.value, reason.holds) for reason in found.reasons] == [
        ("property", None, False),
        ("event", 2, False),
        ("group", None, True),
    ]
    assert found.reasons[1].short == "one Purchase short"
    assert found.reasons[2].sentence == "are not in Guests"
    groups_store.add_members(guests.pk, [alice.pk], actor=SYSTEM)
    worse = explain(alice, [group], now=datetime.now(UTC))[group.pk]
    assert (worse.reasons[2].holds, worse.reasons[2].value is not None) == (False, True)
