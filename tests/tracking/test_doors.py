from __future__ import annotations

import base64
import gzip
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from events import inbox as door
from events.models import Event, EventState, Inbox
from pipeline.inbox import process_some
from tests.accounts.factories import make_key
from tests.api.door import Program
from tests.pipeline.people import rule

pytestmark = pytest.mark.django_db(transaction=True)
VISIT = {"anonymousId": "device-1", "event": "Visit", "type": "track"}


@pytest.fixture(autouse=True)
def _rules() -> None:
    door._backlog.until = 0.0
    rule("user_id", is_unique=True, identity_rank=1)
    rule("email", "email", is_unique=True, identity_rank=2)
    rule("first_name")


@pytest.fixture
def token() -> str:
    return make_key("events:write")[1]


def send(client: Client, body: Any, *, to: str = "/v1/track", **headers: str) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(to, raw, content_type="text/plain", headers=headers)


def basic(token: str) -> str:
    return "Basic " + base64.b64encode(f"{token}:".encode()).decode()


@pytest.mark.parametrize("way", ["basic", "body", "header", "bearer"])
def test_the_key_comes_in_any_of_the_ways_that_clients_know(client: Client, token: str, way: str) -> None:
    headers = {"basic": {"Authorization": basic(token)}, "header": {"X-Write-Key": token}, "body": {}}
    headers["bearer"] = {"Authorization": f"Bearer {token}"}
    body = {**VISIT, "writeKey": token} if way == "body" else VISIT
    answer = send(client, body, **headers[way])
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert Inbox.objects.get().type == "Visit"


@pytest.mark.parametrize("given", ["", "nonsense", "Basic %%%", "Basic bm9ib2R5Og=="])
def test_without_a_key_that_may_send_nothing_is_taken(client: Client, given: str) -> None:
    answer = send(client, VISIT, Authorization=given)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    reader = make_key("events:read")[1]
    assert send(client, VISIT, Authorization=basic(reader)).status_code == 401
    assert not Inbox.objects.exists()


@pytest.mark.parametrize("address", ["/v1/track", "/v1/track/", "/v1/t", "/v1/t/"])
def test_long_and_short_addresses_with_and_without_a_slash(client: Client, token: str, address: str) -> None:
    assert send(client, VISIT, to=address, Authorization=basic(token)).status_code == 200


def test_browsers_may_ask_first(client: Client) -> None:
    answer = client.options("/v1/t", headers={"Origin": "https://shop.example"})
    assert answer.status_code == 204
    assert "Authorization" in answer["Access-Control-Allow-Headers"]
    assert "POST" in answer["Access-Control-Allow-Methods"]


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (b"{", "invalid", "not JSON"),
        (b"[]", "invalid", "object"),
        (b'{"event": "Visit"}', "no_user_anon_id", "userId"),
        (b'{"userId": "u"}', "invalid", "name of its event"),
        (b'{"userId": true, "event": "Visit"}', "no_user_anon_id", "userId"),
        (b'{"userId": "u", "event": "Visit", "properties": {"a": "\\u0000"}}', "invalid", "U\\+0000"),
    ],
)
def test_a_single_call_that_cannot_be_taken_says_why(
    client: Client, token: str, body: bytes, code: str, says: str
) -> None:
    answer = send(client, body, Authorization=basic(token))
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert re.search(says, answer.json()["message"])
    assert not Inbox.objects.exists()


def test_a_bad_item_does_not_sink_its_batch_and_is_seen(client: Client, token: str) -> None:
    batch = [VISIT, 7, {"type": "dance", "userId": "u"}, {"type": "track", "event": "Lonely", "messageId": "m-1"}]
    answer = send(client, {"batch": batch}, to="/v1/batch", Authorization=basic(token))
    assert answer.json() == {"success": True}
    assert Inbox.objects.count() == 1
    refused = {event.type: event.error for event in Event.objects.filter(state=EventState.REJECTED)}
    assert len(Event.objects.all()) == 3
    assert "userId nor anonymousId" in refused["Lonely"]
    reader = Program("events:read")
    found = reader.client.get("/api/v1/events/?state=rejected", headers={"Authorization": f"Bearer {reader.token}"})
    assert {each["message_id"] for each in found.json()["results"]} >= {"m-1"}


def test_limits_of_events_and_batches(client: Client, token: str) -> None:
    key = basic(token)
    large = {**VISIT, "properties": {"text": "x" * 33_000}}
    assert send(client, large, Authorization=key).status_code == 413
    assert send(client, {"batch": [large, VISIT]}, to="/v1/batch", Authorization=key).status_code == 200
    assert (Inbox.objects.count(), Event.objects.get().state) == (1, EventState.REJECTED)
    assert send(client, {"batch": [VISIT] * 2501}, to="/v1/b", Authorization=key).status_code == 413
    packed = gzip.compress(json.dumps({"batch": [], "text": "x" * 5_000_000}).encode())
    assert len(packed) < 10_000
    headers = {"Authorization": key, "Content-Encoding": "gzip"}
    assert send(client, packed, to="/v1/batch", **headers).status_code == 413
    assert send(client, b"no gzip", to="/v1/batch", **headers).status_code == 400
    assert send(client, packed[:50], to="/v1/batch", **headers).status_code == 400
    good = gzip.compress(json.dumps({"batch": [VISIT]}).encode())
    assert send(client, good, to="/v1/batch", **headers).status_code == 200


def test_a_clock_that_is_wrong_is_corrected_and_history_is_kept(client: Client, token: str) -> None:
    now = datetime.now(UTC)
    own, sent = now + timedelta(days=400), now + timedelta(days=400, minutes=5)
    item = {**VISIT, "timestamp": own.isoformat()}
    send(client, {"batch": [item], "sentAt": sent.isoformat()}, to="/v1/batch", Authorization=basic(token))
    corrected = Inbox.objects.get()
    assert abs(corrected.occurred_at - (now - timedelta(minutes=5))) < timedelta(seconds=5)
    history = {**VISIT, "timestamp": "2020-01-31T12:00:00Z", "event": "Old"}
    send(client, {"batch": [history], "sentAt": sent.isoformat()}, to="/v1/import", Authorization=basic(token))
    assert Inbox.objects.get(type="Old").occurred_at == datetime(2020, 1, 31, 12, tzinfo=UTC)


def test_what_happened_does_not_say_who_it_happened_to(client: Client, token: str) -> None:
    invited = {"userId": "u-1", "event": "Invited", "properties": {"email": "bob@example.com", "_secret": 1, "n": 2}}
    send(client, invited, Authorization=basic(token))
    process_some()
    event = Event.objects.get()
    assert event.payload["properties.email"] == "bob@example.com"
    assert event.payload["n"] == 2
    assert "_secret" not in event.payload
    program = Program("profiles:read")
    people = program.client.get("/api/v1/profiles/", headers={"Authorization": f"Bearer {program.token}"}).json()
    assert [each["properties"] for each in people["results"]] == [{"user_id": "u-1"}]


def test_the_same_message_twice_is_one_event_and_its_fate_can_be_asked(client: Client) -> None:
    program = Program("events:write", "events:read")
    for _ in range(2):
        send(client, {**VISIT, "messageId": "m-7"}, Authorization=basic(program.token))
    assert Inbox.objects.count() == 1
    process_some()
    found = program.client.get("/api/v1/events/m-7/", headers={"Authorization": f"Bearer {program.token}"})
    assert (found.status_code, found.json()["state"]) == (200, "processed")


def test_the_browser_learns_where_to_send(client: Client, token: str) -> None:
    answer = client.get(f"/v1/projects/{token}/settings")
    assert answer.json()["integrations"]["Segment.io"]["apiHost"] == "testserver/v1"
    assert client.get("/v1/projects/unknown/settings").status_code == 404


def test_past_the_backlog_all_doors_answer_429_until_there_is_room(client: Client, token: str, settings: Any) -> None:
    settings.INBOX_LIMIT = 3
    program = Program("events:write")
    for number in range(3):
        assert program.post({"user_id": number}).status_code == 202
    door._backlog.until = 0.0
    full = program.post({"user_id": 9})
    assert full.status_code == 429
    assert full["Retry-After"] in ("10", "11")
    assert "wait to be processed" in full.json()["error"]["message"]
    tracked = send(client, VISIT, Authorization=basic(token))
    assert (tracked.status_code, tracked["Retry-After"]) == (429, "10")
    assert Inbox.objects.count() == 3
    process_some()
    door._backlog.until = 0.0
    assert program.post({"user_id": 9}).status_code == 202
