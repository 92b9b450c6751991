"""Replays of a subscription over HTTP: counted before, begun, watched, stopped."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.rest.auth import actor_of
from core.rest.endpoint import Endpoint, operation, scopes_of
from core.rest.reading import Body, read_body
from core.work.models import WorkState
from schedules.outbound import queries, replays
from schedules.outbound.deliveries import SENDABLE
from schedules.outbound.queries import Wanted
from schedules.outbound.replays import AGAIN, MISSED, Replay

_WHAT = (
    "`again`: deliveries that ended or rest, as they were and under their own ids. `missed`: events of the past that"
    " the subscription never got, with the person as they are now."
)
_STATES = [(state.value, state.label) for state in SENDABLE]


class DeliveryReplayBody(Body):
    """What is sent; without more, everything again."""

    what = serializers.ChoiceField([AGAIN, MISSED], required=False, default=AGAIN, help_text=_WHAT)
    state = serializers.ChoiceField(_STATES, required=False, help_text="Only deliveries in this state.")
    profile = serializers.UUIDField(required=False, help_text="Only deliveries about this profile.")
    since = serializers.DateTimeField(
        required=False, help_text="Events that arrived at this time or later; needed for `missed`."
    )
    until = serializers.DateTimeField(required=False, help_text="Events that arrived before this time.")


class ReplayCountAnswer(serializers.Serializer[Any]):
    """How much a replay would be."""

    count = serializers.IntegerField(
        allow_null=True,
        help_text="Deliveries that would be sent again; for `missed`, events to look at. Null: too many to count.",
    )


class DeliveryReplayAnswer(serializers.Serializer[Replay]):
    """A replay and how far it has come."""

    what = serializers.ChoiceField([AGAIN, MISSED], help_text=_WHAT)
    state = serializers.ChoiceField(WorkState.choices)
    is_stopping = serializers.BooleanField()
    done = serializers.IntegerField(help_text="How many deliveries or events were looked at.")
    total = serializers.IntegerField(allow_null=True, help_text="Of how many; null when they were too many to count.")
    sent = serializers.IntegerField(help_text="How many go out because of it.")
    error = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class CountReplay(Endpoint):
    """Says how much a replay would be."""

    required_scope = "schedules:write"

    @operation("count_replay", body=DeliveryReplayBody, answers=ReplayCountAnswer)
    def post(self, request: Request, subscription_id: int) -> Response:
        """Count, and send nothing."""
        found = queries.find_subscription(subscription_id)
        what, wanted = _read(request)
        return Response({"count": replays.count(found.pk, what, wanted)})


class OneReplay(Endpoint):
    """The replay of a subscription."""

    required_scope = scopes_of("schedules")

    @operation("read_replay", answers=DeliveryReplayAnswer, is_one=True)
    def get(self, request: Request, subscription_id: int) -> Response:
        """The one that goes on, or the last one that did; 404 when there was none."""
        return Response(_show(queries.find_subscription(subscription_id).pk))

    @operation("start_replay", body=DeliveryReplayBody, answers=DeliveryReplayAnswer, status=202)
    def post(self, request: Request, subscription_id: int) -> Response:
        """Send in the background; 409 while another one of the subscription goes on."""
        found = queries.find_subscription(subscription_id)
        what, wanted = _read(request)
        replays.start(found.pk, what, wanted, actor=actor_of(request))
        return Response(_show(found.pk), status=202)

    @operation("stop_replay", status=204)
    def delete(self, request: Request, subscription_id: int) -> Response:
        """Owe nothing more; what is owed already goes out. 409 when none goes on."""
        replays.stop(queries.find_subscription(subscription_id).pk, actor=actor_of(request))
        return Response(status=204)


def _read(request: Request) -> tuple[str, Wanted]:
    given = read_body(request, DeliveryReplayBody)
    profile = given.get("profile")
    return given["what"], Wanted(
        state=given.get("state", ""),
        since=given.get("since"),
        until=given.get("until"),
        profiles=None if profile is None else (profile,),
    )


def _show(subscription_id: int) -> Any:
    return DeliveryReplayAnswer(replays.find_or_refuse(subscription_id)).data
