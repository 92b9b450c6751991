"""Dry runs and their plans over HTTP."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.rest.auth import actor_of
from core.rest.endpoint import Endpoint, operation
from core.rest.reading import Query, read_query
from schedules import plans
from schedules.api import RunAnswer, show_run
from schedules.models import SentKind
from schedules.plans import Plan, PlannedRow

_MOST = 500


class PlanAnswer(serializers.Serializer[Plan]):
    """What a run would send, in numbers."""

    run_id = serializers.IntegerField()
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    removed = serializers.IntegerField()
    held = serializers.IntegerField(help_text="How many people the destination held when the plan was made.")
    afterwards = serializers.IntegerField(help_text="How many it would hold.")
    is_current = serializers.BooleanField(help_text="Whether it can still be sent: no other run began since.")
    is_discarded = serializers.BooleanField()
    objection = serializers.CharField(allow_blank=True, help_text="Why the guard stopped the run.")


class DifferenceAnswer(serializers.Serializer[Any]):
    """One field that would change."""

    field = serializers.CharField(allow_blank=True, help_text="Empty: the groups.")
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)


class PlannedRowAnswer(serializers.Serializer[PlannedRow]):
    """What would become of one person."""

    profile_id = serializers.UUIDField()
    action = serializers.ChoiceField(SentKind.choices)
    key = serializers.CharField(help_text="By what the destination knows them.")
    differences = DifferenceAnswer(many=True)


class PlanRowsAnswer(serializers.Serializer[Any]):
    """Some rows of a plan."""

    next = serializers.UUIDField(allow_null=True, help_text="What to give as `after` for the next rows.")
    results = PlannedRowAnswer(many=True)


class PlanQuery(Query):
    """Which rows."""

    action = serializers.ChoiceField(SentKind.choices, required=False)
    search = serializers.CharField(required=False, max_length=200, help_text="Text that a key or a value holds.")
    after = serializers.UUIDField(required=False, help_text="The `next` of the answer before.")
    limit = serializers.IntegerField(required=False, min_value=1, max_value=_MOST, default=50)


class DryRun(Endpoint):
    """Works out what a run would send."""

    required_scope = "schedules:write"

    @operation("start_dry_run", answers=RunAnswer, status=201, is_create=True)
    def post(self, request: Request, schedule_id: int) -> Response:
        """A run that sends nothing; when it is complete its plan can be read, and sent."""
        return Response(show_run(plans.start(schedule_id, actor=actor_of(request))), status=201)


class OnePlan(Endpoint):
    """The plan of a dry run, or of a run that the guard stopped."""

    required_scope = "schedules:read"

    @operation("read_plan", answers=PlanAnswer)
    def get(self, request: Request, run_id: int) -> Response:
        """In numbers; 404 for a run that ended without a plan."""
        return Response(_show(plans.find(run_id)))


class PlanRows(Endpoint):
    """The rows of a plan."""

    required_scope = "schedules:read"

    @operation("list_plan_rows", query=PlanQuery, answers=PlanRowsAnswer)
    def get(self, request: Request, run_id: int) -> Response:
        """Each person with every field that would change; none of a plan that is out of date."""
        wanted = read_query(request, PlanQuery)
        plan = plans.find(run_id)
        if not plan.is_current:
            return Response({"next": None, "results": []})
        kind, search = wanted.get("action", ""), wanted.get("search", "")
        page = plans.read_page(plan, kind=kind, search=search, after=wanted.get("after"), limit=wanted["limit"])
        return Response({"next": page.following, "results": [_show_row(row) for row in page.rows]})


class SendPlan(Endpoint):
    """Sends exactly one plan."""

    required_scope = "schedules:write"

    @operation("send_plan", answers=RunAnswer, status=201, is_create=True)
    def post(self, request: Request, run_id: int) -> Response:
        """The run that sends it and nothing else, whatever the guard says; 409 when it is out of date."""
        return Response(show_run(plans.send(run_id, actor=actor_of(request))), status=201)


class DiscardPlan(Endpoint):
    """Discards one plan."""

    required_scope = "schedules:write"

    @operation("discard_plan", answers=PlanAnswer)
    def post(self, request: Request, run_id: int) -> Response:
        """Nothing of it is sent; the next run works out anew what to send. 409 when it is out of date."""
        plans.discard(run_id, actor=actor_of(request))
        return Response(_show(plans.find(run_id)))


def _show(plan: Plan) -> dict[str, Any]:
    return {
        "run_id": plan.run.pk,
        "created": plan.created,
        "updated": plan.updated,
        "removed": plan.removed,
        "held": plan.held,
        "afterwards": plan.afterwards,
        "is_current": plan.is_current,
        "is_discarded": plan.is_discarded,
        "objection": plan.run.error,
    }


def _show_row(row: PlannedRow) -> dict[str, Any]:
    return {
        "profile_id": row.profile_id,
        "action": row.kind.value,
        "key": row.key,
        "differences": [{"field": one.field, "before": one.before, "after": one.after} for one in row.differences],
    }
