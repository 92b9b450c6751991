"""What an import run changed, and taking that back, over HTTP."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.lib.errors import NotFound
from core.rest.auth import actor_of
from core.rest.endpoint import Endpoint, operation
from schedules import run_changes
from schedules.models import Direction, Run


class WrittenCountAnswer(serializers.Serializer[Any]):
    """How many values of one property a run wrote."""

    property = serializers.CharField()
    count = serializers.IntegerField()


class WrittenAnswer(serializers.Serializer[Any]):
    """One value that a run wrote."""

    profile_id = serializers.UUIDField()
    key = serializers.CharField()
    before = serializers.JSONField(allow_null=True)
    written = serializers.JSONField(allow_null=True)
    now = serializers.JSONField(allow_null=True)
    why_not = serializers.CharField(allow_blank=True, help_text="Why it stays; empty when it would go back.")


class RunChangesAnswer(serializers.Serializer[Any]):
    """What a run changed."""

    profiles = serializers.IntegerField()
    by_property = WrittenCountAnswer(many=True)
    values = WrittenAnswer(many=True, help_text="Those of the first profiles.")


class RevertAnswer(serializers.Serializer[Any]):
    """Taking back has begun."""

    run_id = serializers.IntegerField()
    changes = serializers.IntegerField(help_text="Rows of the change log that are looked at.")


class RunChanges(Endpoint):
    """What one import run changed."""

    required_scope = "schedules:read"

    @operation("read_run_changes", answers=RunChangesAnswer)
    def get(self, request: Request, run_id: int) -> Response:
        """How many values by property, and what taking them back would do to the first of them."""
        run = Run.objects.select_related("schedule").filter(pk=run_id, direction=Direction.IMPORT).first()
        if run is None:
            raise NotFound(f"There is no import run {run_id}.")
        shown = run_changes.preview(run)
        return Response(
            {
                "profiles": shown.profiles,
                "by_property": [{"property": key, "count": count} for key, count in shown.by_key],
                "values": [WrittenAnswer(value).data for value in shown.values],
            }
        )


class RevertRun(Endpoint):
    """Takes back what one import run wrote."""

    required_scope = "schedules:write"

    @operation("revert_run", answers=RevertAnswer, status=202)
    def post(self, request: Request, run_id: int) -> Response:
        """Values go back where nothing newer was written, in the background; 409 when that was asked before."""
        work = run_changes.revert_run(run_id, actor=actor_of(request))
        return Response({"run_id": run_id, "changes": work.total or 0}, status=202)
