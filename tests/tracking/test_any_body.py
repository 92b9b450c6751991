"""Whatever programs and tools send to the doors outside the API's document: no door breaks, and what it took is
processed. FULL=1 sends many more.
"""

from __future__ import annotations

import gzip
import json
import os
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps_connectors import apps_store
from core.accounts.actors import SYSTEM
from events import hooks
from events import inbox as door
from events.models import Event, Inbox
from pipeline import tracking
from pipeline.inbox import process_some
from tests.accounts.factories import make_key
from tests.pipeline.people import rule

pytestmark = pytest.mark.django_db(transaction=True)

ANY = settings(
    max_examples=1000 if os.environ.get("FULL") == "1" else 80,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
CALLS = (*tracking.CALLS, "batch", "import", "i", "t", "p", "s", "g", "a", "b", "dance")
TEXTS = st.text(st.characters(exclude_categories=()), max_size=12)  # halves of characters and U+0000 too
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.just(10**400) | st.just("2026-01-31T12:00Z")
)
_WHO_AND_WHAT = (
    "userId",
    "anonymousId",
    "messageId",
    "previousId",
    "groupId",
    "event",
    "type",
    "name",
    "email",
    "items",
    "to",
)
_AROUND_IT = (
    "traits",
    "properties",
    "context",
    "integrations",
    "timestamp",
    "originalTimestamp",
    "sentAt",
    "batch",
    "id",
    "at",
)
NAMES = st.sampled_from((*_WHO_AND_WHAT, *_AROUND_IT))
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | TEXTS, inner, max_size=5), max_leaves=15
)
# a call as it should be, but for some of its parts
CALLED = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("userId", "anonymousId", "messageId", "previousId", "groupId"), st.just("alice") | LEAVES),
        **dict.fromkeys(
            ("traits", "properties", "context", "integrations"), st.dictionaries(NAMES, VALUES, max_size=4)
        ),
        **dict.fromkeys(("timestamp", "originalTimestamp", "sentAt"), LEAVES | st.integers(0, 10**13)),
        "event": st.just("Visit") | VALUES,
        "type": st.sampled_from(tracking.CALLS) | VALUES,
    },
)
BATCHES = st.fixed_dictionaries({"batch": st.lists(CALLED | VALUES, max_size=6)}, optional={"sentAt": LEAVES})
DEEP = st.integers(1, 3000).map(
    lambda depth: b'{"userId":"u","event":"e","properties":' + b"[" * depth + b"]" * depth + b"}"
)


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


BODIES = (VALUES | CALLED | BATCHES).map(as_json) | st.binary(max_size=40) | DEEP
MAPPINGS: tuple[dict[str, Any], ...] = (
    {},
    {"fields": {"user_id": "userId"}, "type": "event", "message_id": "messageId", "occurred_at": "timestamp"},
    {"fields": {"user_id": "id", "first_name": "traits.name"}, "items": "batch", "type": "type", "message_id": "id"},
)


@pytest.fixture(autouse=True)
def _rules() -> None:
    door._backlog.until = 0.0
    rule("user_id", is_unique=True, identity_rank=1)
    rule("email", "email", is_unique=True, identity_rank=2)
    rule("first_name")
    rule("age", "integer")


@pytest.fixture
def caller() -> Client:
    """A client that shows what a caller would see, also when a door breaks."""
    return Client(raise_request_exception=False)


def check(answer: Any) -> None:
    """An answer that a program can read, and no 5xx."""
    told = answer.json()
    assert answer.status_code < 500, told
    assert told.get("success") is True if answer.status_code == 200 else {"code", "message"} <= told.keys()


def process_everything() -> None:
    assert Event.objects.exists() or Inbox.objects.exists(), "nothing at all was taken: this tests too little"
    while process_some():
        pass
    assert not Inbox.objects.exists()


def test_tracking_calls_of_any_shape_break_nothing(caller: Client) -> None:
    token = make_key("events:write")[1]

    @ANY
    @given(call=st.sampled_from(CALLS), body=BODIES, packing=st.sampled_from(("", "gzip", "says so")))
    def send(call: str, body: bytes, packing: str) -> None:
        headers = {"X-Write-Key": token, **({"Content-Encoding": "gzip"} if packing else {})}
        raw = gzip.compress(body) if packing == "gzip" else body
        check(caller.post(f"/v1/{call}", raw, content_type="text/plain", headers=headers))

    send()
    process_everything()


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_webhooks_of_any_shape_break_nothing(caller: Client, mapping: dict[str, Any]) -> None:
    app = apps_store.create_app("csv", "Checkout", {}, actor=SYSTEM)
    hooks.create_hook(app.pk, actor=SYSTEM)
    hook = hooks.update_hook(app.pk, mapping=mapping, actor=SYSTEM)
    hooks.listen(app.pk)
    address = reverse("hooks:door", args=[app.pk, hooks.read_secrets(hook)["address"]])
    kinds = st.sampled_from(("application/json", "application/x-www-form-urlencoded", "text/plain", ""))

    @ANY
    @given(body=BODIES, kind=kinds, delivery=st.text(st.characters(min_codepoint=32, max_codepoint=255)))
    def send(body: bytes, kind: str, delivery: str) -> None:
        check(caller.post(address, body, content_type=kind, headers={"Webhook-Id": delivery}))

    send()
    process_everything()
