"""What goes out: the payload as it came, the identities and the chosen properties under `profile`."""

from __future__ import annotations

import json

from core.accounts.actors import SYSTEM
from profiles.models import Profile
from schedules import schedules_store
from schedules.outbound.models import OutboundDelivery
from schedules.schedules_store import ScheduleData
from tests.pipeline.people import event, rule, take
from tests.schedules.outbound.world import World, cart, deliver, person


def test_the_event_of_the_story_comes_out_exactly(world: World) -> None:
    take(event({"user_id": 3, "first_name": "Evan", "email": "Evan@Grouparoo.com"}))
    world.subscribe()
    take(event({"user_id": "3", "cart_abandoned_at": "Jan 5, 2019", "cart_items": ["red shirt"]}))
    deliver()
    [body] = world.box.bodies
    assert json.dumps(body) == json.dumps(
        {
            "cart_abandoned_at": "Jan 5, 2019",
            "cart_items": ["red shirt"],
            "profile": {"user_id": 3, "first_name": "Evan", "email": "evan@grouparoo.com"},
        }
    )


def test_the_order_of_keys_and_the_spelling_of_values_stay(world: World) -> None:
    world.subscribe(match="every", value="", properties=())
    payload = {"zebra": 1.5, "user_id": 3, "a": {"z": None, "b": [True, 12.0, 'ü 日 \\ " \n']}, "": "", "profile": "x"}
    take(event(payload))
    deliver()
    [body] = world.box.bodies
    expected = {key: value for key, value in payload.items() if key not in ("user_id", "profile")}
    assert json.dumps(body) == json.dumps({**expected, "profile": {"user_id": 3}})


def test_properties_are_typed_in_the_order_chosen_and_null_where_there_is_none(world: World) -> None:
    rule("age", "integer")
    rule("tags", is_array=True)
    rule("score", "float")
    world.subscribe(properties=("tags", "score", "age", "cart_abandoned_at", "user_id"))
    take(cart("3", tags=["b", "a"], score="12.5"))
    deliver()
    [body] = world.box.bodies
    assert json.dumps(body["profile"]) == json.dumps(
        {
            "user_id": 3,
            "tags": ["b", "a"],
            "score": 12.5,
            "age": None,
            "cart_abandoned_at": "2019-01-05T00:00:00.000000Z",
        }
    )
    assert body["score"] == "12.5", "the payload is never typed again"


def test_only_the_identities_that_the_event_brought_are_added_by_themselves(world: World) -> None:
    take(event({"user_id": 3, "email": "bob@example.com"}))
    world.subscribe(properties=())
    take(event({"email": "BOB@example.com", "cart_abandoned_at": "today"}))
    deliver()
    [item] = world.box.taken
    assert item.body["profile"] == {"email": "bob@example.com"}
    assert item.identities == {"user_id": 3, "email": "bob@example.com"}, "a tool may find its record by any of them"


def test_a_key_counts_only_when_there_is_something_under_it(world: World) -> None:
    world.subscribe()
    take(
        event({"user_id": 1, "cart_abandoned_at": None}),
        event({"user_id": 1, "cart_abandoned_at": ""}),
        event({"user_id": 1, "other": 1}),
        event({"user_id": 1, "cart_abandoned_at": 0, "number": 4}),
    )
    deliver()
    assert world.box.numbers() == [4]


def test_a_subscription_by_type_takes_events_of_that_type_of_people_who_are_known(world: World) -> None:
    world.subscribe(match="type", value="order")
    take(
        event({"user_id": 1, "number": 1}, type="order"),
        event({"user_id": 1, "number": 2}, type="orders"),
        event({"nobody": 1, "number": 3}, type="order"),
    )
    deliver()
    assert world.box.numbers() == [1]


def test_nothing_goes_out_for_someone_in_none_of_the_groups(world: World) -> None:
    take(*(event({"user_id": number}) for number in (1, 2, 3)))
    world.join(2, "lapsed")
    world.join(3, "usa")
    lapsed, usa = world.groups["lapsed"].pk, world.groups["usa"].pk
    world.subscribe(groups=(lapsed, usa))
    take(*(cart(number, number=number) for number in (1, 2, 3)))
    deliver()
    assert world.box.numbers() == [2, 3]
    assert OutboundDelivery.objects.count() == 2


def test_a_group_that_the_event_itself_leads_to_counts(world: World) -> None:
    world.subscribe(groups=(world.groups["usa"].pk,))
    take(cart(1, number=1))
    world.join(1, "usa")
    deliver()
    assert world.box.numbers() == [1]


def test_a_subscription_that_follows_an_export_has_its_groups_and_properties_of_the_time(world: World) -> None:
    take(event({"user_id": 1, "first_name": "Alice", "email": "alice@example.com"}))
    follow = make_export(world)
    world.subscribe(follows=follow, properties=())
    take(cart(1, number=1))
    deliver()
    assert world.box.numbers() == []
    world.join(1, "usa")
    take(cart(1, number=2))
    deliver()
    assert [body["profile"] for body in world.box.bodies] == [{"user_id": 1, "email": "alice@example.com"}]
    change_export(world, follow)
    take(cart(1, number=3))
    deliver()
    assert world.box.bodies[-1]["profile"] == {"user_id": 1, "email": "alice@example.com", "first_name": "Alice"}


def test_who_was_merged_goes_by_the_profile_that_is_left(world: World) -> None:
    take(event({"user_id": 1, "first_name": "Alice"}), event({"user_id": 2, "first_name": "Bob"}))
    world.subscribe(groups=(world.groups["usa"].pk,))
    world.join(2, "usa")
    take(cart(1, number=1))
    Profile.objects.filter(guid=person(1)).update(merged_into=person(2))
    deliver()
    [item] = world.box.taken
    assert (item.profile, item.body["profile"]["first_name"]) == (str(person(2)), "Bob")


def make_export(world: World) -> int:
    data = ScheduleData(
        direction="export",
        name="people",
        app_id=world.app.pk,
        options={"key_field": "EMAIL"},
        fields={"EMAIL": "email"},
        groups={world.groups["usa"].pk: "usa"},
    )
    return schedules_store.create_schedule(data, actor=SYSTEM).pk


def change_export(world: World, schedule_id: int) -> None:
    data = ScheduleData(
        direction="export",
        name="people",
        app_id=world.app.pk,
        options={"key_field": "EMAIL"},
        fields={"EMAIL": "email", "FNAME": "first_name"},
        everyone=True,
    )
    schedules_store.update_schedule(schedule_id, data, actor=SYSTEM)
