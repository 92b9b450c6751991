"""Alerts over HTTP: who is told, a test, and the incidents."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.rest.auth import actor_of
from core.rest.endpoint import Endpoint, operation, scopes_of
from core.rest.paging import answer_page
from core.rest.reading import Body, PageQuery, read_body, read_query
from grouparoo.alerts import recipients, sending
from grouparoo.alerts.models import Incident
from grouparoo.alerts.recipients import MOST_EMAILS, Recipients
from grouparoo.problems import ProblemKind


class AlertsAnswer(serializers.Serializer[Any]):
    """Who is told when something needs a person."""

    emails = serializers.ListField(child=serializers.CharField())
    webhook_url = serializers.CharField(allow_blank=True)
    has_secret = serializers.BooleanField(help_text="Whether a signing secret is kept; it is never shown.")


class AlertsChanges(Body):
    """What changes of it."""

    emails = serializers.ListField(child=serializers.CharField(max_length=254), required=False, max_length=MOST_EMAILS)
    webhook_url = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    secret = serializers.CharField(
        max_length=500, required=False, allow_blank=True, write_only=True, help_text="Empty keeps the one there is."
    )


class AlertToldAnswer(serializers.Serializer[Any]):
    """How one recipient was told of the test."""

    ok = serializers.BooleanField()
    message = serializers.CharField()


class AlertTestAnswer(serializers.Serializer[Any]):
    """How everyone was told of the test."""

    results = AlertToldAnswer(many=True)


class IncidentAnswer(serializers.Serializer[Incident]):
    """Something that needed a person, from its beginning to its end."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(ProblemKind.choices)
    subject = serializers.CharField(help_text="Such as schedule:3.")
    title = serializers.CharField()
    text = serializers.CharField(allow_blank=True)
    opened_at = serializers.DateTimeField()
    recovered_at = serializers.DateTimeField(allow_null=True, help_text="Null while it is open.")


class IncidentQuery(PageQuery):
    """Which incidents."""

    open = serializers.BooleanField(required=False, help_text="Those that are open, or those that are over.")
    kind = serializers.ChoiceField(ProblemKind.choices, required=False)


class Alerts(Endpoint):
    """Who is told."""

    required_scope = scopes_of("team")

    @operation("read_alerts", answers=AlertsAnswer, is_one=True)
    def get(self, request: Request) -> Response:
        """As it is."""
        return Response(_show(recipients.read()))

    @operation("change_alerts", body=AlertsChanges, answers=AlertsAnswer)
    def patch(self, request: Request) -> Response:
        """Change what is given. Links in alerts lead to the address of this request."""
        given = read_body(request, AlertsChanges, partial=True)
        base_url = request.build_absolute_uri("/")
        return Response(_show(recipients.change(given, base_url=base_url, actor=actor_of(request))))


class TestAlerts(Endpoint):
    """A test alert."""

    required_scope = "team:write"

    @operation("test_alerts", answers=AlertTestAnswer)
    def post(self, request: Request) -> Response:
        """Tell everyone of an incident that is none, and say what they answered."""
        told = sending.send_test(recipients.read())
        return Response({"results": [{"ok": ok, "message": message} for message, ok in told]})


class Incidents(Endpoint):
    """What needed a person."""

    required_scope = "team:read"

    @operation("list_incidents", query=IncidentQuery, answers=IncidentAnswer, is_page=True)
    def get(self, request: Request) -> Response:
        """Incidents, the newest first."""
        wanted = read_query(request, IncidentQuery)
        found = Incident.objects.all()
        if "open" in wanted:
            found = found.filter(recovered_at__isnull=wanted["open"])
        if "kind" in wanted:
            found = found.filter(kind=wanted["kind"])
        return answer_page(request, found, ordering="-id", show=_show_incidents)


def _show_incidents(found: Any) -> Any:
    return IncidentAnswer(found, many=True).data


def _show(found: Recipients) -> dict[str, Any]:
    return {"emails": found.emails, "webhook_url": found.webhook_url, "has_secret": bool(found.secret)}
