"""The door for events: durable before the answer, once each, and one bad item does not sink the others."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client

from core.lib import uuid7
from core.work import wake
from events import inbox
from events.inbox import FateKind, accept
from events.models import EventKey, Inbox, SourceKind
from profiles import ruleset
from tests.accounts.factories import make_alice, make_bob
from tests.api.door import EVENTS, Program, assert_one_shape

pytestmark = pytest.mark.django_db


def payloads() -> list[Any]:
    return [row.payload for row in Inbox.objects.order_by("id")]


def test_one_object_is_an_event() -> None:
    program = Program()
    response = program.post({"user_id": 3})
    assert response.status_code == 202
    answer = response.json()
    assert {key: answer[key] for key in ("accepted", "duplicate", "rejected")} == {
        "accepted": 1,
        "duplicate": 0,
        "rejected": 0,
    }
    row = Inbox.objects.get()
    assert answer["events"] == [{"fate": "accepted", "id": str(row.id), "message_id": str(row.id)}]
    assert (row.payload, row.type, row.occurred_at) == ({"user_id": 3}, "", row.received_at)
    assert (row.source_kind, row.source_id) == (SourceKind.API_KEY, program.key.pk)


def test_an_envelope_names_the_message_its_type_and_its_time() -> None:
    body = {
        "message_id": "order-17",
        "type": "order",
        "occurred_at": "2026-03-01T12:00:00+02:00",
        "payload": {"user_id": 3, "type": "kept"},
    }
    response = Program().post(body)
    row = Inbox.objects.get()
    assert response.json()["events"][0]["message_id"] == "order-17"
    assert (row.message_id, row.type, row.payload) == ("order-17", "order", {"user_id": 3, "type": "kept"})
    assert row.occurred_at == datetime(2026, 3, 1, 10, tzinfo=UTC)


def test_an_object_without_a_payload_is_kept_whole_whatever_its_keys() -> None:
    body = {"user_id": 3, "type": "order", "message_id": "m", "occurred_at": "soon"}
    assert Program().post(body).status_code == 202
    assert payloads() == [body]


def test_a_payload_is_kept_as_it_came() -> None:
    inside = '{"n": 12.50, "big": 9007199254740993, "tiny": 1e-7, "s": "naïve 🛒 \\\\u0000", "l": [[], {}, null]}'
    assert Program().post(f'{{"payload": {inside}}}').status_code == 202
    assert payloads() == [json.loads(inside)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        (1_772_366_400, datetime(2026, 3, 1, 12, tzinfo=UTC)),
        (1_772_366_400_000, datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01T12:00:00.123456Z", datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)),
    ],
)
def test_a_time_may_be_written_as_people_and_programs_do(given: Any, expected: datetime) -> None:
    assert Program().post({"occurred_at": given, "payload": {"user_id": 3}}).status_code == 202
    assert Inbox.objects.get().occurred_at == expected


BAD_ITEMS = [
    ("3", "not a number"),
    ("null", "not null"),
    ("[]", "not a list"),
    ('"text"', "not a text"),
    ('{"payload": []}', "payload has to be an object"),
    ('{"payload": null}', "payload has to be an object"),
    ('{"payload": {}, "user_id": 3}', "Move it into the payload"),
    ('{"payload": {}, "message_id": 7}', "message_id"),
    ('{"payload": {}, "message_id": "' + "m" * 201 + '"}', "message_id"),
    ('{"payload": {}, "message_id": "a\\u0000b"}', "U+0000"),
    ('{"payload": {}, "type": ["order"]}', "type"),
    ('{"payload": {}, "type": "\\ud800"}', "lone surrogate"),
    ('{"payload": {}, "occurred_at": "soon"}', "occurred_at"),
    ('{"payload": {}, "occurred_at": true}', "occurred_at"),
    ('{"payload": {}, "occurred_at": 1e300}', "occurred_at"),
    ('{"name": "a\\u0000b"}', "U+0000"),
    ('{"a\\u0000b": 1}', "U+0000"),
    ('{"name": "\\ud800"}', "lone surrogate"),
    ('{"deep": ' + "[" * 60 + "]" * 60 + "}", "50 levels"),
    ('{"deep": ' + "[" * 3000 + '"]"' + "]" * 3000 + "}", "50 levels"),
    ('{"deep": ' + '{"a":' * 3000 + "1" + "}" * 3000 + "}", "50 levels"),
    ('{"n": 9223372036854775808}', "64 bits"),
    ('{"n": ' + "9" * 5000 + "}", "beyond"),
    ('{"n": 1e999}', "beyond range"),
    ('{"n": NaN}', "NaN"),
    ('{"n": -Infinity}', "Infinity"),
    ('{"text": "' + "x" * 1_000_000 + '"}', "Send a smaller event"),
]


@pytest.mark.parametrize(("item", "sentence"), BAD_ITEMS, ids=[item[:40] for item, _ in BAD_ITEMS])
def test_a_bad_item_is_rejected_with_the_reason_and_the_others_are_taken(item: str, sentence: str) -> None:
    response = Program().post(f'[{{"user_id": 1}}, {item}, {{"payload": {{"user_id": [2, "]["]}}}}]')
    assert response.status_code == 202
    events = response.json()["events"]
    assert [each["fate"] for each in events] == ["accepted", "rejected", "accepted"]
    assert sentence in events[1]["reason"]
    assert len(events[1]["reason"]) < 300
    assert payloads() == [{"user_id": 1}, {"user_id": [2, "]["]}]


@pytest.mark.parametrize(("item", "sentence"), BAD_ITEMS[5:], ids=[item[:40] for item, _ in BAD_ITEMS[5:]])
def test_a_body_that_is_one_bad_event_is_an_error(item: str, sentence: str) -> None:
    assert sentence in assert_one_shape(Program().post(item), 400, "invalid")["message"]
    assert not Inbox.objects.exists()
    assert not EventKey.objects.exists()


def test_fifty_levels_are_kept_to_the_last_value() -> None:
    nested: Any = "the innermost"
    for _ in range(49):
        nested = [nested]
    too_deep = '{"deep": ' + "[" * 3000 + "]" * 3000 + "}"
    response = Program().post(f"[{json.dumps({'payload': {'deep': nested}})}, {too_deep}]")
    assert [each["fate"] for each in response.json()["events"]] == ["accepted", "rejected"]
    assert payloads() == [{"deep": nested}]


def test_the_same_message_twice_is_one_event_also_within_one_request() -> None:
    program = Program()
    first = {"message_id": "m1", "payload": {"n": 1}}
    ids = [event["id"] for event in program.post([first, {**first, "payload": {"n": 2}}]).json()["events"]]
    again = program.post(first).json()
    assert len({*ids, again["events"][0]["id"]}) == 1
    assert again["duplicate"] == 1
    assert payloads() == [{"n": 1}]


def test_a_message_that_was_processed_is_still_a_duplicate() -> None:
    program = Program()
    event = program.post({"message_id": "m1", "payload": {}}).json()["events"][0]
    Inbox.objects.all().delete()
    again = program.post({"message_id": "m1", "payload": {}}).json()["events"][0]
    assert again == {"fate": "duplicate", "id": event["id"], "message_id": "m1"}
    assert not Inbox.objects.exists()


def test_two_keys_may_use_the_same_message_ids() -> None:
    body = {"message_id": "m1", "payload": {}}
    assert Program().post(body).json()["accepted"] == 1
    assert Program().post(body).json()["accepted"] == 1


def test_ids_are_by_the_database_s_clock_and_in_the_order_of_the_list() -> None:
    answer = Program().post([{"n": n} for n in range(200)]).json()
    ids = [UUID(event["id"]) for event in answer["events"]]
    assert ids == sorted(ids)
    with connection.cursor() as cursor:
        cursor.execute("select clock_timestamp()")
        now = cursor.fetchone()[0]
    assert abs(now - uuid7.time_of(ids[0])) < timedelta(seconds=30)
    assert [payload["n"] for payload in payloads()] == list(range(200))


def test_a_batch_costs_a_handful_of_statements(django_assert_max_num_queries: Any) -> None:
    items = [{"message_id": f"m{n % 800}", "payload": {"n": n}} for n in range(1000)]
    ruleset.load()  # a process reads the rules once for each change of them
    with django_assert_max_num_queries(7):
        fates = accept(items, source_kind=SourceKind.API_KEY, source_id=1)
    assert sum(fate.kind == FateKind.DUPLICATE for fate in fates) == 200


def test_a_browser_s_events_carry_the_person() -> None:
    bob = make_bob()
    client = Client(enforce_csrf_checks=True)
    client.force_login(bob)
    client.get("/sign-in/")
    token = "x" * 32
    client.cookies["csrftoken"] = token
    response = client.post(EVENTS, {"user_id": 3}, content_type="application/json", headers={"X-CSRFToken": token})
    assert response.status_code == 202
    row = Inbox.objects.get()
    assert (row.source_kind, row.source_id) == (SourceKind.PERSON, bob.pk)


@pytest.mark.django_db(transaction=True)
def test_accepted_events_are_committed_before_the_answer_and_then_the_workers_are_woken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[str, int]] = []
    monkeypatch.setattr(wake, "_wakes", wake._Wakes(send=lambda topic: seen.append((topic, count_elsewhere()))))
    accept([{"user_id": 1}, {"user_id": 2}], source_kind=SourceKind.API_KEY, source_id=1)
    assert seen == [("inbox", 2)]


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_down_is_not_the_sender_s_concern(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(topic: str) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr(wake, "_wakes", wake._Wakes(send=fail))
    assert Program().post({"user_id": 1}).status_code == 202
    assert Inbox.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_failure_in_the_middle_leaves_no_key_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"message_id": "m1", "payload": {"n": 1}}
    monkeypatch.setattr(inbox, "_STORE", "select 1 / 0, %(rows)s, %(received)s, %(source_kind)s, %(source_id)s")
    assert Program().post(body).status_code == 500
    monkeypatch.undo()
    assert not EventKey.objects.exists()
    assert Program().post(body).json()["accepted"] == 1


@pytest.mark.django_db(transaction=True)
def test_three_senders_of_the_same_messages_store_each_once_and_agree_on_its_id() -> None:
    make_alice()
    rounds, size = 6, 300
    start = Barrier(3)

    def send(sender: int) -> list[list[Any]]:
        answers = []
        try:
            for number in range(rounds):
                items = [{"message_id": f"{number}-{n}", "payload": {"n": n}} for n in range(size)]
                start.wait(timeout=30)
                # Each sender has an order of its own: only sorted keys keep them from deadlocking.
                turned = items[sender * 100 :] + items[: sender * 100]
                answers.append(accept(turned[:: -1 if sender == 1 else 1], source_kind="api_key", source_id=1))
        finally:
            connection.close()
        return answers

    with ThreadPoolExecutor(3) as pool:
        everyone = [fate for sender in pool.map(send, range(3)) for answer in sender for fate in answer]
    ids: dict[str, set[UUID | None]] = {}
    for fate in everyone:
        ids.setdefault(fate.message_id, set()).add(fate.id)
    accepted = [fate.id for fate in everyone if fate.kind == FateKind.ACCEPTED]
    assert len(everyone) == 3 * rounds * size
    assert all(len(each) == 1 for each in ids.values())
    assert len(accepted) == len(set(accepted)) == rounds * size
    assert set(Inbox.objects.values_list("id", flat=True)) == set(accepted)


def count_elsewhere() -> int:
    """How many events another connection sees: those that are committed."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_count_and_close).result()


def _count_and_close() -> int:
    try:
        return Inbox.objects.count()
    finally:
        connection.close()
