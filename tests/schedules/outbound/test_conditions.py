"""A subscription's conditions: asked in SQL for the batch, once the person is filled in, of payload and person."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.accounts.actors import SYSTEM
from core.accounts.models import AuditEntry
from core.lib.errors import InvalidInput, Refused
from groups import groups_store
from profiles import hydration_retries, rules
from profiles.models import Profile, ProfilePropertyRule
from profiles.rules import NewRule
from schedules.outbound import delivering, subscriptions, trying
from schedules.outbound.bodies import SubscriptionData
from schedules.outbound.models import OutboundDelivery, Subscription, SubscriptionRuleUse
from tests.pipeline.people import event, rule, take
from tests.schedules.outbound.world import World, cart, carts, deliver, person, states, wait_for_horizon


def payload(key: str, operator: str, value: Any = None, type_: str = "text", **more: Any) -> dict[str, Any]:
    """A condition on the payload."""
    given = {} if value is None else {"value": value}
    return {"key": key, "type": type_, "operator": operator, **given, **more}


def people(*leaves: dict[str, Any], match: str = "all") -> dict[str, Any]:
    """Rules about the person."""
    return {"match": match, "rules": list(leaves)}


@pytest.mark.parametrize(
    ("condition", "taken"),
    [
        (payload("total", "greater_than", 10, "number"), [2, 4]),
        (payload("total", "between", [5, 20], "number"), [1, 2]),
        (payload("total", "does_not_exist"), [3]),
        (payload("city", "equals", "berlin"), [1]),
        (payload("city", "equals", "berlin", case_sensitive=True), []),
        (payload("city", "does_not_equal", "Berlin"), [2, 3, 4]),
        (payload("city", "does_not_equal", "Berlin", include_null=False), [2]),
        (payload("gift", "is_true", type_="boolean"), [2]),
    ],
)
def test_only_events_that_carry_what_is_asked_go_out(world: World, condition: dict[str, Any], taken: list[int]) -> None:
    world.subscribe(where=(condition,))
    take(
        cart(1, number=1, total=5, city="Berlin"),
        cart(1, number=2, total="10.5", city="Paris", gift=True),
        cart(1, number=3),
        cart(1, number=4, total=99, gift="no"),
    )
    deliver()
    assert world.box.numbers() == taken
    assert len(states()) == len(taken), "an event that does not fit leaves no row"


def test_all_conditions_have_to_hold(world: World) -> None:
    both = (payload("total", "greater_than", 10, "number"), payload("city", "exists"))
    world.subscribe(where=both, people=people({"property": "first_name", "operator": "exists"}))
    take(event({"user_id": 2, "first_name": "Bob"}))
    take(cart(1, number=1, total=11, city="x"), cart(2, number=2, total=11), cart(2, number=3, total=11, city="x"))
    deliver()
    assert world.box.numbers() == [3]


def test_the_person_is_asked_as_the_event_left_them(world: World) -> None:
    rule("ltv", "float")
    world.subscribe(people=people({"property": "ltv", "operator": "greater_than", "value": 100}))
    take(cart(1, number=1, ltv=50), cart(2, number=2, ltv=101))
    deliver()
    assert world.box.numbers() == [2]
    take(cart(1, number=3, ltv=150))
    deliver()
    assert world.box.numbers() == [2, 3]


def test_groups_are_asked_by_rule_too_also_for_who_is_not_in_them(world: World) -> None:
    usa, lapsed = (world.groups[name].pk for name in ("usa", "lapsed"))
    take(*(event({"user_id": number}) for number in (1, 2, 3)))
    world.join(1, "usa")
    world.join(2, "usa")
    world.join(2, "lapsed")
    asked = people({"group": usa, "operator": "in"}, {"group": lapsed, "operator": "not_in"})
    world.subscribe(people=asked)
    take(*(cart(number, number=number) for number in (1, 2, 3)))
    deliver()
    assert world.box.numbers() == [1]


def test_a_relative_date_and_the_profile_itself_can_be_asked(world: World) -> None:
    recently = {"amount": 1, "unit": "days"}
    world.subscribe(people=people({"profile": "created_at", "operator": "in_the_past", "value": recently}))
    take(event({"user_id": 1}), event({"user_id": 2}))
    Profile.objects.filter(pk=person(1)).update(created_at="2020-01-01T00:00:00Z")
    take(cart(1, number=1), cart(2, number=2))
    deliver()
    assert world.box.numbers() == [2]


def test_whoever_became_part_of_another_is_asked_as_that_one(world: World) -> None:
    take(event({"user_id": 1, "first_name": "Alice"}), event({"user_id": 2, "first_name": "Bob"}))
    world.subscribe(people=people({"property": "first_name", "operator": "equals", "value": "Bob"}))
    take(cart(1, number=1))
    Profile.objects.filter(guid=person(1)).update(merged_into=person(2))
    deliver()
    assert world.box.numbers() == [1]


def test_conditions_wait_for_the_profiles_data_too(world: World) -> None:
    """What an App that is down still owes may decide; so it is asked when the body is made."""
    take(event({"user_id": 1}), event({"user_id": 2}))
    world.subscribe(people=people({"property": "first_name", "operator": "equals", "value": "Alice"}))
    for user_id in (1, 2):
        carts(user_id, user_id)
        hydration_retries.note(failed=[person(user_id)], answered=[], reason="The warehouse is away.")
    deliver()
    assert states() == ["waiting", "waiting"]
    take(event({"user_id": 1, "first_name": "Alice"}), event({"user_id": 2, "first_name": "Bob"}))
    hydration_retries.note(failed=[], answered=[person(1), person(2)], reason="")
    deliver(waits=1)
    assert world.box.numbers() == [1]
    assert states() == ["accepted"]


def test_a_thousand_events_with_conditions_cost_a_handful_of_statements(world: World) -> None:
    asked = people(
        {"property": "first_name", "operator": "exists"}, {"group": world.groups["usa"].pk, "operator": "in"}
    )
    world.subscribe(where=(payload("number", "less_than", 500, "number"),), people=asked)
    take(*(event({"user_id": number, "first_name": "Alice"}) for number in range(1000)))
    groups_store.add_members(world.groups["usa"].pk, list(Profile.objects.values_list("guid", flat=True)), actor=SYSTEM)
    take(*(cart(number, number=number) for number in range(1000)))
    wait_for_horizon()
    delivering.find_due()
    with CaptureQueriesContext(connection) as captured:
        while delivering.work_slice():
            pass
    assert sorted(world.box.numbers()) == list(range(500))
    assert len(captured) <= 30 * (len(world.box.calls) + 1)


# ---------------------------------------------------------------- what may be asked


@pytest.mark.parametrize(
    ("given", "place", "said"),
    [
        ({"where": ({"key": "", "operator": "exists"},)}, "where.0.key", "Say which key"),
        ({"where": (payload("a", "greater_than", 1),)}, "where.0.operator", "can be asked"),
        ({"where": (payload("a", "greater_than", "x", "number"),)}, "where.0.value", "not a number"),
        ({"where": (payload("a", "exists"),) * 11}, "where", "at most 10"),
        ({"people": {"match": "all"}}, "people", "Add at least one rule"),
        ({"people": people({"property": "shoe", "operator": "exists"})}, "people.0.property", "no property shoe"),
        ({"people": people({"group": 999, "operator": "in"})}, "people.0.group", "There is no group 999"),
        ({"people": people({"event": "cart", "operator": "did"})}, "people.0.event", "make a group of it"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_place(
    world: World, given: dict[str, Any], place: str, said: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        world.subscribe(**given)
    assert said in caught.value.fields[place]
    assert not Subscription.objects.exists()


def test_conditions_are_stored_as_they_mean_and_told_in_the_audit_log(world: World) -> None:
    asked = people({"property": "first_name", "operator": "exists", "value": None})
    made = world.subscribe(where=({**payload("total", "exists"), "value": None},), people=asked)
    after = AuditEntry.objects.get(action="subscription.create").after or {}
    assert after["where"] == [{"key": "total", "type": "text", "operator": "exists", "value": None}]
    data = subscriptions.read_data(made)
    subscriptions.update_subscription(made.pk, data, actor=SYSTEM)
    assert subscriptions.read_data(Subscription.objects.get()) == data


def test_what_a_condition_asks_is_in_use_and_not_deleted(world: World) -> None:
    asked = people(
        {"property": "first_name", "operator": "exists"},
        people({"group": world.groups["usa"].pk, "operator": "not_in"}, match="any"),
    )
    made = world.subscribe("carts", properties=(), people=asked)
    assert list(SubscriptionRuleUse.objects.order_by("leaf").values_list("leaf", flat=True)) == ["0", "1.0"]
    with pytest.raises(Refused, match="in use by the subscription carts"):
        groups_store.delete_group(world.groups["usa"].pk, actor=SYSTEM)
    first_name = ProfilePropertyRule.objects.get(key="first_name")
    with pytest.raises(Refused, match="in use by the subscription carts"):
        rules.delete_rule(first_name.pk, actor=SYSTEM)
    subscriptions.update_subscription(made.pk, SubscriptionData("carts", world.app.pk, "every"), actor=SYSTEM)
    groups_store.delete_group(world.groups["usa"].pk, actor=SYSTEM)
    rules.delete_rule(first_name.pk, actor=SYSTEM)


def test_a_property_keeps_its_type_while_a_condition_needs_it(world: World) -> None:
    world.subscribe(people=people({"property": "first_name", "operator": "starts_with", "value": "A"}))
    first_name = ProfilePropertyRule.objects.get(key="first_name")
    with pytest.raises(Refused, match="The subscription carts could not ask any more what it asks"):
        rules.update_rule(first_name.pk, NewRule("first_name", "integer"), actor=SYSTEM)


def test_conditions_that_cannot_be_asked_any_more_halt_the_subscription_and_lose_nothing(world: World) -> None:
    made = world.subscribe(people=people({"property": "first_name", "operator": "does_not_exist"}))
    Subscription.objects.update(people=people({"property": "gone", "operator": "exists"}))
    carts(1, 1)
    deliver()
    made.refresh_from_db()
    assert made.state == "paused"
    assert "There is no property gone" in made.paused_reason
    Subscription.objects.update(people=None)
    subscriptions.resume_subscription(made.pk, actor=SYSTEM)
    deliver()
    assert world.box.numbers() == [1]


# ---------------------------------------------------------------- the preview


def test_the_preview_counts_how_many_of_the_last_events_match(world: World) -> None:
    take(*(cart(1, number=number) for number in range(120)))
    draft = SubscriptionData(
        "draft", world.app.pk, "key", "cart_abandoned_at", where=(payload("number", "less_than", 60, "number"),)
    )
    shown = trying.preview(draft)
    assert (shown.looked_at, shown.fitting, shown.would_send) == (100, 40, True)
    assert shown.body["number"] == 59, "the last one that fits"
    none = trying.preview(
        SubscriptionData("draft", world.app.pk, "key", "cart_abandoned_at", where=(payload("nothing", "exists"),))
    )
    assert (none.looked_at, none.fitting, none.would_send) == (100, 0, False)
    assert none.note == trying.NOTHING_FITS
    assert not OutboundDelivery.objects.exists()
