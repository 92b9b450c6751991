"""The pipeline against what it should come to, over random histories."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from core.accounts import project
from core.accounts.actors import SYSTEM
from events.envelope import InboundEvent
from events.inbox import FateKind, accept
from events.models import Event, Inbox
from pipeline import inbox
from profiles.models import (
    ANONYMOUS,
    Profile,
    ProfileIdentity,
    ProfileMerge,
    ProfilePropertyRule,
)
from tests.pipeline.people import NOON, event, everyone, forget_everything, rule, shop_rules, take
from tests.pipeline.plain import World

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = ("Alice", "Bob", "Charlie", None, "")


@pytest.fixture(autouse=True)
def _rules() -> None:
    shop_rules()


def history(seed: int, *, people: int, length: int) -> list[InboundEvent]:
    """A random history without identity clashes: every event names its person by user_id, some also by their email."""
    chance = random.Random(seed)
    events = []
    for minute in chance.sample(range(length * 10), length):
        user = chance.randrange(people)
        payload: dict[str, Any] = {"user_id": user}
        if chance.random() < 0.5:
            payload["email"] = f"user{user}@example.com"
        if chance.random() < 0.7:
            payload["first_name"] = chance.choice(NAMES)
        if chance.random() < 0.5:
            payload["age"] = chance.choice([chance.randrange(99), "unknown", None])
        events.append(event(payload, at=minute % 300, message_id=f"{seed}-{minute}"))
    return events


def expected_values(events: Sequence[InboundEvent]) -> list[dict[str, Any]]:
    """Per person and key the value with the latest own time; the histories used here have no two at one time."""
    latest: dict[tuple[int, str], tuple[Any, Any]] = {}
    for one in events:
        for key, value in one.payload.items():
            place = (one.payload["user_id"], key)
            if place not in latest or one.occurred_at > latest[place][0]:
                latest[place] = (one.occurred_at, value)
    people: dict[int, dict[str, Any]] = {}
    for (user, key), (_, value) in latest.items():
        person = people.setdefault(user, {})
        if value not in (None, "", "unknown"):
            person[key] = value
    return sorted(people.values(), key=lambda values: values["user_id"])


def by_user() -> list[dict[str, Any]]:
    return sorted(Profile.objects.values_list("properties", flat=True), key=lambda values: values["user_id"])


def without_ties(events: Sequence[InboundEvent]) -> list[InboundEvent]:
    """The same events, each at an own time of its own."""
    times = [NOON + timedelta(seconds=index) for index in range(len(events))]
    random.Random(7).shuffle(times)
    return [event(dict(one.payload), at=at, message_id=one.message_id) for one, at in zip(events, times, strict=True)]


@pytest.mark.parametrize("seed", range(6))
def test_any_order_and_batch_size_and_repetitions_end_in_the_same_values(seed: int) -> None:
    chance = random.Random(seed)
    events = without_ties(history(seed, people=9, length=60))
    arrivals = [*events, *chance.sample(events, 15)]
    chance.shuffle(arrivals)
    while arrivals:
        size = chance.choice([1, 2, 7, 30])
        take(*arrivals[:size])
        arrivals = arrivals[size:]
    assert by_user() == expected_values(events)
    assert Event.objects.count() == len(events)
    assert_identities_follow_values()


@pytest.mark.parametrize("seed", range(4))
def test_two_workers_on_the_same_people_end_in_the_same_values(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "BATCH", 5 + seed * 4)
    events = without_ties(history(100 + seed, people=6, length=120))
    put_in_inbox(events)
    run_workers(2)
    assert by_user() == expected_values(events)
    assert (Inbox.objects.count(), Event.objects.count()) == (0, len(events))
    assert_identities_follow_values()


def clashes(seed: int, *, length: int) -> list[InboundEvent]:
    """A random history in which people share and change identities."""
    chance = random.Random(seed)
    events = []
    for index in range(length):
        payload: dict[str, Any] = {"first_name": chance.choice(["Alice", "Bob"]), "age": index}
        if chance.random() < 0.7:
            payload["user_id"] = chance.randrange(4)
        if chance.random() < 0.7:
            payload["email"] = f"{chance.choice('abcd')}@example.com"
        events.append(event(payload, at=chance.randrange(200), message_id=f"clash-{seed}-{index}"))
    return events


@pytest.mark.parametrize("seed", range(8))
def test_with_clashes_batches_come_to_what_one_event_at_a_time_comes_to(seed: int) -> None:
    events = clashes(seed, length=40)
    for one in events:
        take(one)
    singly, fates = everyone(), list(Event.objects.order_by("id").values_list("message_id", "state"))
    warned = Event.objects.filter(error__startswith="identity conflict").count()
    forget_everything()
    chance = random.Random(seed)
    rest = events
    while rest:
        size = chance.choice([1, 3, 8, 20])
        take(*rest[:size])
        rest = rest[size:]
    assert everyone() == singly
    assert list(Event.objects.order_by("id").values_list("message_id", "state")) == fates
    assert Event.objects.filter(error__startswith="identity conflict").count() == warned


@pytest.mark.parametrize("seed", range(4))
def test_with_clashes_two_workers_keep_what_must_always_hold(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "BATCH", 7)
    events = clashes(50 + seed, length=150)
    put_in_inbox(events)
    run_workers(2)
    assert (Inbox.objects.count(), Event.objects.count()) == (0, len(events))
    assert_identities_follow_values()
    named = Event.objects.filter(state="processed").values_list("profile_id", flat=True)
    guids = set(Profile.objects.values_list("guid", flat=True))
    assert set(named) == guids, "every profile has an event, and every processed event a profile"


# ---------------------------------------------------------------- devices and people who turn out to be one


def journeys(seed: int, *, length: int) -> list[InboundEvent]:
    """A random history of devices that pass from hand to hand, people who sign in, change addresses and get new ids."""
    chance = random.Random(seed)
    events = []
    for index in range(length):
        payload: dict[str, Any] = {chance.choice(["first_name", "nickname"]): chance.choice(NAMES), "age": index}
        if chance.random() < 0.7:
            payload["_anonymous_id"] = f"device-{chance.randrange(7)}"
        if chance.random() < 0.4:
            payload["user_id"] = chance.randrange(4)
        if chance.random() < 0.25:
            payload["email"] = chance.choice([None, *(f"{letter}@example.com" for letter in "abcd")])
        if chance.random() < 0.08:
            payload["_previous_id"] = chance.choice(["device-1", "device-8", "0", "3", "7"])
        events.append(event(payload, at=chance.randrange(200), message_id=f"journey-{seed}-{index:03}"))
    return events


def known_people() -> list[tuple[Any, ...]]:
    """Everybody, as `World.shown` says it."""
    parts: dict[Any, Any] = dict(Profile.objects.exclude(merged_into=None).values_list("guid", "merged_into"))
    leads: dict[Any, list[tuple[str, str]]] = {}
    keys = dict(ProfilePropertyRule.objects.values_list("pk", "key"))
    for guid, rule_id, value in ProfileIdentity.objects.values_list("profile_id", "rule_id", "value"):
        leads.setdefault(guid, []).append((keys.get(rule_id, "_anonymous_id"), value))
    messages: dict[Any, list[str]] = {}
    for about, message in Event.objects.exclude(profile_id=None).values_list("profile_id", "message_id"):
        messages.setdefault(parts.get(about, about), []).append(message)
    alive = Profile.objects.filter(merged_into=None).values_list("guid", "properties")
    return sorted(
        (sorted(messages.pop(guid, [])), sorted(leads.pop(guid, [])), properties) for guid, properties in alive
    )


@pytest.mark.parametrize("seed", range(12))
def test_devices_and_people_come_to_what_plain_python_comes_to(seed: int) -> None:
    rule("nickname")
    project.update({"identity_limit": 4}, actor=SYSTEM)
    events, world = journeys(seed, length=70), World(most_devices=4)
    for place, one in enumerate(events):
        world.hear(one.message_id, one.payload, (one.occurred_at, place))
    chance, rest = random.Random(seed), events
    while rest:
        size = chance.choice([1, 2, 9, 25])
        take(*rest[:size])
        rest = rest[size:]
    assert known_people() == world.shown()
    assert Event.objects.filter(state="unlinked").count() == world.nobody
    assert Event.objects.filter(error__contains="identity conflict").count() == world.conflicts
    assert ProfileMerge.objects.count() == len(world.parts) > 0
    call_command("check_integrity", stdout=StringIO())


def visits(seed: int, *, people: int, length: int) -> list[InboundEvent]:
    """A random history in which everyone keeps to devices of their own, and is known on each of them in the end."""
    chance = random.Random(seed)
    payloads: list[dict[str, Any]] = []
    for age in range(length):
        user = chance.randrange(people)
        payload: dict[str, Any] = {"age": age}
        if chance.random() < 0.5:
            payload["first_name"] = chance.choice(["Alice", "Bob", "Charlie"])
        ways: list[dict[str, Any]] = [{"_anonymous_id": f"{user}-{chance.randrange(3)}"}, {"user_id": user}]
        payload |= chance.choice([ways[0], ways[1], ways[0] | ways[1]])
        payloads.append(payload)
    chance.shuffle(payloads)
    payloads += [{"user_id": user, "_anonymous_id": f"{user}-{each}"} for user in range(people) for each in range(3)]
    return without_ties([event(payload, message_id=f"visit-{seed}-{at}") for at, payload in enumerate(payloads)])


def person_of(payload: Mapping[str, Any]) -> int:
    return int(payload["user_id"]) if "user_id" in payload else int(payload["_anonymous_id"].partition("-")[0])


@pytest.mark.parametrize("seed", range(4))
def test_two_workers_make_one_person_of_whoever_comes_from_several_devices(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "BATCH", 5 + seed * 4)
    events = visits(seed, people=8, length=140)
    put_in_inbox(events)
    run_workers(2)
    latest: dict[int, dict[str, Any]] = {}
    for one in sorted(events, key=lambda each: each.occurred_at):
        told = {key: value for key, value in one.payload.items() if not key.startswith("_")}
        latest.setdefault(person_of(one.payload), {}).update(told)
    alive = Profile.objects.filter(merged_into=None).values_list("properties", flat=True)
    assert sorted(alive, key=lambda values: values["user_id"]) == [latest[user] for user in sorted(latest)]
    assert ProfileIdentity.objects.filter(rule_id=ANONYMOUS).count() == 8 * 3
    for messages, leads, known in known_people():
        assert {value for key, value in leads if key == "_anonymous_id"} == {
            f"{known['user_id']}-{n}" for n in range(3)
        }
        by_message = {one.message_id: person_of(one.payload) for one in events}
        assert {by_message[message] for message in messages} == {known["user_id"]}
    assert Event.objects.filter(state="processed").count() == len(events)
    call_command("check_integrity", stdout=StringIO())


@pytest.mark.parametrize("seed", range(4))
def test_two_workers_on_devices_that_pass_from_hand_to_hand_keep_what_must_always_hold(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule("nickname")
    monkeypatch.setattr(inbox, "BATCH", 7)
    events = journeys(60 + seed, length=150)
    put_in_inbox(events)
    run_workers(2)
    assert (Inbox.objects.count(), Event.objects.count()) == (0, len(events))
    alive = dict(Profile.objects.filter(merged_into=None).values_list("guid", "properties"))
    parts = dict(Profile.objects.exclude(merged_into=None).values_list("guid", "merged_into"))
    assert set(parts.values()) <= alive.keys(), "whoever became part of someone is part of someone who is there"
    owned = ProfileIdentity.objects.values_list("profile_id", "rule__key", "value")
    assert {guid for guid, _, _ in owned} <= alive.keys(), "every identity leads to someone who is there"
    held = {(guid, key, str(each[key])) for guid, each in alive.items() for key in ("user_id", "email") if key in each}
    assert held <= set(owned), "what identifies someone leads to them"
    told = set(Event.objects.filter(state="processed").values_list("profile_id", flat=True))
    assert told | set(parts) == alive.keys() | parts.keys(), "nobody was made without an event"
    assert Event.objects.filter(state="unlinked").count() == sum(is_about_nobody(one.payload) for one in events)
    call_command("check_integrity", stdout=StringIO())


def is_about_nobody(payload: Mapping[str, Any]) -> bool:
    return all(payload.get(key) is None for key in ("user_id", "email", "_anonymous_id"))


def put_in_inbox(events: Sequence[InboundEvent]) -> None:
    accept_all = [
        {"message_id": one.message_id, "occurred_at": one.occurred_at.isoformat(), "payload": dict(one.payload)}
        for one in events
    ]
    fates = accept(accept_all, source_kind="api_key", source_id=1)
    assert all(fate.kind == FateKind.ACCEPTED for fate in fates)


def run_workers(count: int) -> None:
    """Workers in threads of their own, with connections of their own, until the inbox is empty."""

    def work() -> None:
        try:
            while inbox.process_some() or Inbox.objects.exists():
                pass
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(work) for _ in range(count)]:
            done.result(timeout=60)


def assert_identities_follow_values() -> None:
    """Each identity has one owner, who has that value; each unique value has its identity."""
    owned = set(ProfileIdentity.objects.values_list("profile", "rule__key", "value"))
    held = {
        (guid, key, str(values[key]))
        for guid, values in Profile.objects.values_list("guid", "properties")
        for key in ("user_id", "email")
        if key in values
    }
    assert owned == held
