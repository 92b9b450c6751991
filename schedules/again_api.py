"""Sending again, and the log of what was sent, over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.lib.errors import NotFound
from core.rest.auth import actor_of
from core.rest.endpoint import Endpoint, operation
from core.rest.paging import answer_log
from core.rest.reading import Body, PageQuery, read_body, read_query
from plugins.contracts import OutcomeKind
from profiles.merges import all_ids
from profiles.models import Profile
from schedules import again, sent_log
from schedules.again import MOST_NAMED, Selection
from schedules.api import RunAnswer, show_run
from schedules.models import SentKind, SentLog


class AgainBody(Body):
    """Who is sent again; exactly one of: profiles, since and until, rejected, everything."""

    profiles = serializers.ListField(child=serializers.UUIDField(), required=False, max_length=MOST_NAMED)
    since = serializers.DateTimeField(required=False, help_text="Accepted from this time on.")
    until = serializers.DateTimeField(required=False, help_text="Accepted before this time.")
    rejected = serializers.BooleanField(required=False, help_text="What the destination refused.")
    everything = serializers.BooleanField(required=False, help_text="Everyone is compared, and written anew.")


class SentAnswer(serializers.Serializer[SentLog]):
    """One call to a destination about one person."""

    at = serializers.DateTimeField()
    schedule_id = serializers.IntegerField()
    run_id = serializers.IntegerField()
    action = serializers.ChoiceField(SentKind.choices)
    key = serializers.CharField()
    outcome = serializers.ChoiceField([each.value for each in OutcomeKind])
    before = serializers.DictField(allow_null=True, help_text="What the destination held; null: nothing.")
    after = serializers.DictField(allow_null=True, help_text="What it was to hold; null: nothing.")
    groups_before = serializers.ListField(child=serializers.CharField(), allow_null=True)
    groups_after = serializers.ListField(child=serializers.CharField(), allow_null=True)
    text = serializers.CharField(allow_blank=True, help_text="What the destination answered, where it said anything.")


class SendAgain(Endpoint):
    """Sends again what a destination accepted or refused."""

    required_scope = "schedules:write"

    @operation("send_schedule_again", body=AgainBody, answers=RunAnswer, status=201, is_create=True)
    def post(self, request: Request, schedule_id: int) -> Response:
        """The run that does it; 409 when nobody is meant, or another run is unfinished."""
        given = read_body(request, AgainBody)
        selection = Selection(
            profiles=given.get("profiles", ()),
            since=given.get("since"),
            until=given.get("until"),
            rejected=given.get("rejected", False),
            everything=given.get("everything", False),
        )
        return Response(show_run(again.start(schedule_id, selection, actor=actor_of(request))), status=201)


class SentOfProfile(Endpoint):
    """What exports sent of one person."""

    required_scope = "profiles:read"

    @operation("list_sent_of_profile", query=PageQuery, answers=SentAnswer, is_page=True)
    def get(self, request: Request, guid: UUID) -> Response:
        """Every call and its answer, the latest first, as long as logs are kept."""
        read_query(request, PageQuery)
        if not Profile.objects.filter(pk=guid).exists():
            raise NotFound(f"There is no profile {guid}.")
        return answer_log(request, sent_log.of_profiles(all_ids(guid)), show=_show)


def _show(entries: Sequence[SentLog]) -> list[dict[str, Any]]:
    return [
        {
            "at": entry.at,
            "schedule_id": entry.schedule_id,
            "run_id": entry.run_id,
            "action": entry.kind,
            "key": entry.key,
            "outcome": entry.outcome,
            "before": entry.before,
            "after": entry.after,
            "groups_before": entry.groups_before,
            "groups_after": entry.groups_after,
            "text": entry.text,
        }
        for entry in entries
    ]
