"""The whole way out, to a real webhook receiver and to Mailchimp's stand-in, which misbehave as the real ones do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from apps_connectors import apps_store
from core.accounts.actors import SYSTEM
from plugins.mailchimp.standin.server import Misbehaviour, Standin, run_standin
from schedules.outbound import subscriptions, trying
from schedules.outbound.models import OutboundCursor, OutboundDelivery
from tests.pipeline.people import event, take
from tests.plugins.mailchimp.conftest import LIST, options_for
from tests.plugins.mailchimp.exports import put_member
from tests.receiver import Receiver, answer, be_slow, cut, garbage, run_receiver
from tests.schedules.outbound.world import World, cart, carts, deliver, seconds_until, states

STORY = {
    "cart_abandoned_at": "Jan 5, 2019",
    "cart_items": ["red shirt"],
    "profile": {"user_id": 3, "first_name": "Evan", "email": "evan@grouparoo.com"},
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as running:
        yield running


@pytest.fixture
def hook(world: World, receiver: Receiver) -> World:
    """The world, with a webhook App aimed at the receiver."""
    options = {"url": receiver.url, "secret": receiver.secret, "timeout": 1, "headers": "Authorization: Bearer abc123"}
    return replace(world, app=apps_store.create_app("webhook", "Hook", options, actor=SYSTEM))


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[Standin]:
    with run_standin(tmp_path / "mailchimp.sqlite") as running:
        running.store.add_list(LIST, "Newsletter")
        yield running


@pytest.fixture
def mailchimp(world: World, standin: Standin) -> World:
    """The world, with a Mailchimp App aimed at the stand-in, whose audience has Alice, Bob and Charlie."""
    take(*(event({"user_id": number, "email": address(number)}) for number in (1, 2, 3)))
    for number in (1, 2, 3):
        put_member(standin, address(number))
    return replace(world, app=apps_store.create_app("mailchimp", "Mailchimp", options_for(standin), actor=SYSTEM))


def address(number: int) -> str:
    return f"person{number}@example.com"


def leave_the_storys_cart() -> None:
    take(event({"user_id": 3, "first_name": "Evan", "email": "evan@grouparoo.com"}))
    take(event({"user_id": 3, "cart_abandoned_at": "Jan 5, 2019", "cart_items": ["red shirt"]}, type="cart"))


def numbers_of(bodies: list[Any]) -> list[int]:
    return [int(body["number"]) for body in bodies]


# ---------------------------------------------------------------- a webhook


def test_a_receiver_gets_the_json_of_the_story_signed(hook: World, receiver: Receiver) -> None:
    made = hook.subscribe()
    leave_the_storys_cart()
    deliver()
    [arrived] = receiver.deliveries
    assert json.dumps(json.loads(arrived.body)) == json.dumps(STORY), "the order of keys counts too"
    assert arrived.signed
    assert arrived.id == f"{OutboundDelivery.objects.get().event_id}-{made.pk}"
    assert arrived.headers["grouparoo-event"] == "cart"


def test_whatever_a_receiver_does_it_ends_with_each_event_and_in_order_per_person(
    hook: World, receiver: Receiver
) -> None:
    hook.subscribe()
    take(*(cart(number % 3 + 1, number=number) for number in range(12)))
    receiver.expect(
        answer(500, body=b"out of order"),
        answer(),
        garbage(),
        cut(),
        answer(),
        answer(429, headers={"Retry-After": "3"}),
        answer(503),
        be_slow(3),  # which takes the event, and its answer comes too late
        answer(502),
    )
    deliver(waits=10)
    assert states() == ["accepted"] * 12
    assert sorted(numbers_of(list(receiver.accepted.values()))) == list(range(12))
    assert all(each.signed for each in receiver.deliveries)
    for person in range(3):
        asked = [number for number in numbers_of([each.json for each in receiver.deliveries]) if number % 3 == person]
        assert asked == sorted(asked), "a later event was tried before an earlier one of the same person"
    assert sum(times > 1 for times in receiver.times_accepted.values()) <= 1, "only what was answered too late"
    bodies: dict[str, set[bytes]] = {}
    for each in receiver.deliveries:
        bodies.setdefault(each.id, set()).add(each.body)
    assert all(len(each) == 1 for each in bodies.values()), "what is sent again is the same, byte by byte"
    logs = list(OutboundDelivery.objects.values_list("log", flat=True))
    assert [log[-1]["outcome"] for log in logs] == ["accepted"] * 12
    failed = [entry for log in logs for entry in log[:-1]]
    assert {entry["outcome"] for entry in failed} == {"retrying"}
    assert "500" in " ".join(entry["text"] for entry in failed)


def test_a_pause_that_a_receiver_asks_for_is_kept(hook: World, receiver: Receiver) -> None:
    hook.subscribe()
    receiver.expect(answer(429, headers={"Retry-After": "600"}))
    take(cart(1, number=1), cart(2, number=2))
    deliver()
    assert len(receiver.deliveries) == 1, "the others would fare the same"
    assert 580 < seconds_until("select rests_until from outbound_cursor") < 601
    assert list(OutboundDelivery.objects.values_list("tries", flat=True)) == [0, 0]
    deliver()
    assert len(receiver.deliveries) == 1
    deliver(waits=1)
    assert sorted(numbers_of(list(receiver.accepted.values()))) == [1, 2]


def test_a_refused_event_is_put_aside_and_secrets_that_come_back_are_not_kept(hook: World, receiver: Receiver) -> None:
    hook.subscribe()
    receiver.expect(answer(400, body=f"no number; you said abc123, {receiver.secret}".encode()))
    carts(1, 1, 2)
    deliver()
    assert states() == ["rejected", "accepted"]
    rejected = OutboundDelivery.objects.get(state="rejected")
    assert "400" in rejected.error
    assert "no number" in rejected.reply
    kept = f"{rejected.error} {rejected.reply} {rejected.log}"
    assert "abc123" not in kept
    assert receiver.secret not in kept


def test_a_receiver_that_refuses_access_halts_until_a_person_resumes(hook: World, receiver: Receiver) -> None:
    made = hook.subscribe()
    receiver.expect(answer(401))
    carts(1, 1, 2)
    deliver()
    made.refresh_from_db()
    assert made.state == "paused"
    assert "look at the signing secret" in made.paused_reason
    deliver(waits=1)
    assert len(receiver.deliveries) == 1
    subscriptions.resume_subscription(made.pk, actor=SYSTEM)
    deliver()
    assert numbers_of([each.json for each in receiver.deliveries]) == [1, 1, 2]
    assert states() == ["accepted", "accepted"]


def test_nothing_is_sent_for_people_in_none_of_the_groups(hook: World, receiver: Receiver) -> None:
    take(event({"user_id": 1}), event({"user_id": 2}))
    hook.join(2, "usa")
    hook.subscribe(groups=(hook.groups["lapsed"].pk, hook.groups["usa"].pk))
    carts(1, 1)
    deliver()
    assert receiver.deliveries == []
    carts(2, 2)
    deliver()
    assert numbers_of([each.json for each in receiver.deliveries]) == [2]


def test_a_test_event_says_that_it_is_one_and_is_in_no_log(hook: World, receiver: Receiver) -> None:
    leave_the_storys_cart()
    made = hook.subscribe()
    receiver.expect(answer(202, body=b"thanks"))
    told = trying.send_test_event(made.pk, actor=SYSTEM)
    assert (told.outcome, told.body) == ("accepted", {**STORY, "test": True})
    assert "thanks" in told.reply
    [arrived] = receiver.deliveries
    assert (arrived.json, arrived.headers["grouparoo-note"]) == ({**STORY, "test": True}, "test")
    deliver()
    assert len(receiver.deliveries) == 1
    assert not OutboundDelivery.objects.exists()


# ---------------------------------------------------------------- Mailchimp


def received(standin: Standin) -> list[dict[str, Any]]:
    """The properties of all member events, in the order of their arrival."""
    return [row["body"]["properties"] for row in standin.store.events(LIST)]


def test_mailchimp_gets_the_json_of_the_story(world: World, standin: Standin) -> None:
    app = apps_store.create_app("mailchimp", "Mailchimp", options_for(standin), actor=SYSTEM)
    put_member(standin, "evan@grouparoo.com")
    replace(world, app=app).subscribe()
    leave_the_storys_cart()
    deliver()
    [row] = standin.store.events(LIST)
    assert row["body"]["name"] == "cart"
    properties = row["body"]["properties"]
    arrived = {
        "cart_abandoned_at": properties["cart_abandoned_at"],
        "cart_items": json.loads(properties["cart_items"]),
        "profile": json.loads(properties["profile"]),
    }
    assert json.dumps(arrived) == json.dumps(STORY)
    assert list(properties) == list(STORY)


def test_whatever_mailchimp_does_it_ends_with_each_event_once_and_in_order(mailchimp: World, standin: Standin) -> None:
    mailchimp.subscribe()
    take(*(cart(number % 3 + 1, number=number) for number in range(12)))
    kinds = ("throttle", "error", "garbage", "cut", "bare429", "bare403", "blocked")
    standin.expect(*(Misbehaviour(kind, after=2 if kind == "throttle" else None) for kind in kinds))
    deliver(waits=12)
    assert states() == ["accepted"] * 12
    assert not standin.expected
    numbers = numbers_of(received(standin))
    assert sorted(numbers) == list(range(12))
    for person in range(3):
        assert [number for number in numbers if number % 3 == person] == list(range(person, 12, 3))
    assert not standin.parallel, "one call for each member at a time"


def test_who_is_no_member_yet_waits_for_the_export_and_holds_nobody_back(mailchimp: World, standin: Standin) -> None:
    mailchimp.subscribe()
    take(event({"user_id": 4, "email": address(4)}))
    take(cart(4, number=4), cart(1, number=1))
    deliver()
    assert states() == ["retrying", "accepted"]
    put_member(standin, address(4))
    deliver(waits=1)
    assert numbers_of(received(standin)) == [1, 4]


def test_a_wrong_key_halts_until_a_person_has_put_in_the_right_one(mailchimp: World, standin: Standin) -> None:
    made = mailchimp.subscribe()
    right = standin.key
    standin.key = "another-us0"
    carts(1, 1)
    deliver()
    made.refresh_from_db()
    assert made.state == "paused"
    assert right not in made.paused_reason
    standin.key = right
    subscriptions.resume_subscription(made.pk, actor=SYSTEM)
    deliver()
    assert numbers_of(received(standin)) == [1]
    assert OutboundCursor.objects.get().waits == 0
