"""Events over HTTP: programs tell the product that something happened, and look what became of it.

`POST /api/v1/events/` takes one event or a list of them. 202 is answered once every accepted event is durable, with the
fate of each:

    {"accepted": 1, "duplicate": 0, "rejected": 1, "events": [
        {"fate": "accepted", "id": "0198...", "message_id": "order-17"},
        {"fate": "rejected", "reason": "An event is an object such as {"user_id": 3}, not a number."}]}

A list never fails because of some of its items; a body that is one bad event is a 400.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.accounts.models import ApiKey
from core.lib import uuid7
from core.lib.errors import InvalidInput, NotFound
from core.rest.auth import actor_of
from core.rest.endpoint import Endpoint, operation, scopes_of
from core.rest.errors import TooMany
from core.rest.paging import answer_page
from core.rest.parsing import require_body
from core.rest.reading import Body, PageQuery, read_body, read_query
from events import queries
from events.inbox import Fate, FateKind, Full, accept
from events.models import Event, EventState, Inbox, SourceKind
from events.pages import has_payload
from events.replay import MOST, replay

WAITING = "waiting"
_FIRST = datetime(1970, 1, 2, tzinfo=UTC)  # ids know no earlier time


class EventAnswer(serializers.Serializer[Event]):
    """Something that happened, and what became of it."""

    id = serializers.UUIDField()
    message_id = serializers.CharField()
    type = serializers.CharField(allow_blank=True)
    occurred_at = serializers.DateTimeField()
    received_at = serializers.DateTimeField()
    source_kind = serializers.ChoiceField(SourceKind.choices)
    source_id = serializers.IntegerField(help_text="The number of the run, API key or person it came from.")
    payload = serializers.DictField()
    state = serializers.ChoiceField([*EventState.choices, (WAITING, "Waiting")])
    profile_id = serializers.UUIDField(allow_null=True, help_text="Who it is about.")
    error = serializers.CharField(
        allow_blank=True, help_text="Why it is about nobody or was rejected, or the warning it carries."
    )


class EventsQuery(PageQuery):
    """Which events."""

    type = serializers.CharField(required=False, max_length=200)
    state = serializers.ChoiceField(EventState.choices, required=False)
    profile = serializers.UUIDField(required=False)
    message_id = serializers.CharField(required=False, max_length=200, help_text="Known for seven days.")
    source_kind = serializers.ChoiceField(SourceKind.choices, required=False)
    source_id = serializers.IntegerField(required=False, min_value=0)
    key = serializers.CharField(required=False, max_length=200, help_text="Its payload has this key.")
    value = serializers.CharField(required=False, max_length=1000, help_text="Of that key, as text.")
    since = serializers.DateTimeField(required=False, help_text="Received at this time or later.")
    until = serializers.DateTimeField(required=False, help_text="Received before this time.")


class FateAnswer(serializers.Serializer[Fate]):
    """What became of one item."""

    fate = serializers.ChoiceField([kind.value for kind in FateKind])
    id = serializers.UUIDField(required=False, help_text="Of a duplicate, that of the first one.")
    message_id = serializers.CharField(required=False)
    reason = serializers.CharField(required=False, help_text="Why it was rejected.")


class FatesAnswer(serializers.Serializer[Any]):
    """What became of every item, in order."""

    accepted = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    rejected = serializers.IntegerField()
    events = FateAnswer(many=True)


_ONE = {
    "type": "object",
    "additionalProperties": {},
    "description": "A payload, or an envelope: message_id, type, occurred_at and payload.",
}
_BODY = {"application/json": {"oneOf": [_ONE, {"type": "array", "items": {}, "minItems": 1}]}}


class Events(Endpoint):
    """Takes events in; lists them."""

    required_scope = scopes_of("events")

    @operation("list_events", query=EventsQuery, answers=EventAnswer, is_page=True)
    def get(self, request: Request) -> Response:
        """Events that were processed, the latest first."""
        found = _filter(read_query(request, EventsQuery))
        return answer_page(request, found, ordering="-id", show=show_events, is_search=True)

    @operation("send_events", body=_BODY, answers=FatesAnswer, status=202)
    def post(self, request: Request) -> Response:
        """Store one event or a list; the fate of each, in order. The same message_id twice is one event."""
        body = require_body(request)
        items = body if isinstance(body, list) else [body]
        if not items or len(items) > settings.EVENTS_PER_REQUEST:
            limit = settings.EVENTS_PER_REQUEST
            raise InvalidInput(f"Send one event or a list of 1 to {limit:,}; this list has {len(items):,}.")
        actor = actor_of(request)
        kind = SourceKind.API_KEY if isinstance(request.auth, ApiKey) else SourceKind.PERSON
        try:
            fates = accept(items, source_kind=kind, source_id=actor.id or 0)
        except Full as full:
            raise TooMany(str(full), wait=full.seconds) from None
        if not isinstance(body, list) and fates[0].kind == FateKind.REJECTED:
            raise InvalidInput(fates[0].reason)
        counts = Counter(fate.kind for fate in fates)
        return Response(
            {**{kind.value: counts[kind] for kind in FateKind}, "events": [_show_fate(fate) for fate in fates]},
            status=202,
        )


class ReplayBody(Body):
    """Which events are taken again."""

    ids = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MOST)


class ReplayAnswer(serializers.Serializer[Any]):
    """How many wait to be taken again."""

    replayed = serializers.IntegerField(help_text="Rows of runs and events that are not known are passed over.")


class Replay(Endpoint):
    """Takes events again."""

    required_scope = "events:write"

    @operation("replay_events", body=ReplayBody, answers=ReplayAnswer, status=202)
    def post(self, request: Request) -> Response:
        """Process stored events once more, with their own times; deliveries that were made are not made again."""
        ids = read_body(request, ReplayBody)["ids"]
        return Response({"replayed": replay(ids, actor=actor_of(request))}, status=202)


class OneEvent(Endpoint):
    """One event, by its id or its message id."""

    required_scope = "events:read"

    @operation("read_event", answers=EventAnswer, is_one=True)
    def get(self, request: Request, name: str) -> Response:
        """What became of it; `waiting` until it is processed. A message id is known for seven days."""
        for id_ in queries.ids_of(name):
            event = Event.objects.filter(pk=id_).first()
            if event is not None:
                return Response(show_events([event])[0])
            waiting = Inbox.objects.filter(pk=id_).first()
            if waiting is not None:
                return Response(_show_waiting(waiting))
        raise NotFound(f"There is no event {name[:60]}.")


# ---------------------------------------------------------------- how they are found and shown


def show_events(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Events as the API answers them."""
    return [{**_show(event), "state": event.state, "profile_id": event.profile_id} for event in events]


def _filter(wanted: dict[str, Any]) -> Any:
    same = {name: wanted[name] for name in ("type", "state", "source_kind", "source_id") if name in wanted}
    found = Event.objects.filter(**same)
    if "profile" in wanted:
        found = found.filter(profile_id=wanted["profile"])
    if "key" in wanted:
        found = has_payload(found, key=wanted["key"], value=wanted.get("value", ""))
    elif "value" in wanted:
        raise InvalidInput("Say which key has this value.", {"key": "Give the key of the payload."})
    if "message_id" in wanted:
        found = found.filter(pk__in=queries.ids_of(wanted["message_id"]))
    if "since" in wanted:
        found = found.filter(pk__gte=_lowest(wanted["since"]))
    if "until" in wanted:
        found = found.filter(pk__lt=_lowest(wanted["until"]))
    return found


def _lowest(at: datetime) -> UUID:
    return uuid7.lowest(max(at, _FIRST))


def _show(event: Event | Inbox) -> dict[str, Any]:
    return {
        "id": event.pk,
        "message_id": event.message_id,
        "type": event.type,
        "occurred_at": event.occurred_at,
        "received_at": event.received_at,
        "source_kind": event.source_kind,
        "source_id": event.source_id,
        "payload": event.payload,
        "error": event.error,
    }


def _show_waiting(waiting: Inbox) -> dict[str, Any]:
    return {**_show(waiting), "state": WAITING, "profile_id": None}


def _show_fate(fate: Fate) -> dict[str, Any]:
    if fate.kind == FateKind.REJECTED:
        return {"fate": fate.kind, "reason": fate.reason}
    return {"fate": fate.kind, "id": fate.id, "message_id": fate.message_id}
