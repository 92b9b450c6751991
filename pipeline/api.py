"""`POST /api/v1/events/`: programs tell the product that something happened.

The body is one event or a list of them. 202 is answered once every accepted event is durable, with the fate of each:

    {"accepted": 1, "duplicate": 0, "rejected": 1, "events": [
        {"fate": "accepted", "id": "0198...", "message_id": "order-17"},
        {"fate": "rejected", "reason": "An event is an object such as {"user_id": 3}, not a number."}]}

A list never fails because of some of its items; a body that is one bad event is a 400.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.accounts.models import ApiKey
from core.lib.errors import InvalidInput
from core.rest.auth import actor_of
from core.rest.parsing import require_body
from events.inbox import Fate, FateKind, accept
from events.models import SourceKind


class Events(APIView):
    """Takes events in."""

    required_scope = "events:write"

    def post(self, request: Request) -> Response:
        """Store the events; the fate of each, in order."""
        body = require_body(request)
        items = body if isinstance(body, list) else [body]
        if not items or len(items) > settings.EVENTS_PER_REQUEST:
            limit = settings.EVENTS_PER_REQUEST
            raise InvalidInput(f"Send one event or a list of 1 to {limit:,}; this list has {len(items):,}.")
        actor = actor_of(request)
        kind = SourceKind.API_KEY if isinstance(request.auth, ApiKey) else SourceKind.PERSON
        fates = accept(items, source_kind=kind, source_id=actor.id or 0)
        if not isinstance(body, list) and fates[0].kind == FateKind.REJECTED:
            raise InvalidInput(fates[0].reason)
        counts = Counter(fate.kind for fate in fates)
        return Response(
            {**{kind.value: counts[kind] for kind in FateKind}, "events": [_show(fate) for fate in fates]}, status=202
        )


def _show(fate: Fate) -> dict[str, Any]:
    if fate.kind == FateKind.REJECTED:
        return {"fate": fate.kind, "reason": fate.reason}
    return {"fate": fate.kind, "id": fate.id, "message_id": fate.message_id}
