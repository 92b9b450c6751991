"""Erasing a person, its proof, and everything that is held about a person, over HTTP.

All of it needs the topic `privacy`, which of people only admins have: a program that answers requests for erasure gets
a key that can do this and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.lib.errors import NotFound
from core.rest.auth import actor_of
from core.rest.endpoint import Endpoint, operation
from core.rest.paging import answer_page
from core.rest.reading import Body, PageQuery, read_body, read_query
from profiles.models import Profile
from schedules.erasing import destinations, erasures, holdings, pages, previews
from schedules.erasing.models import Erasure, Removal
from schedules.erasing.pages import Shown


class HolderAnswer(serializers.Serializer[Any]):
    """An export that would be told to remove."""

    schedule_id = serializers.IntegerField()
    name = serializers.CharField()
    app = serializers.CharField()
    note = serializers.CharField(allow_blank=True, help_text="What is special about removing there.")


class ToldAnswer(serializers.Serializer[Any]):
    """A subscription that got events of the person, which nobody can call back."""

    subscription_id = serializers.IntegerField()
    name = serializers.CharField()
    app = serializers.CharField()
    events = serializers.IntegerField()


class ErasurePreviewAnswer(serializers.Serializer[Any]):
    """What would go."""

    counts = serializers.DictField(child=serializers.IntegerField(), help_text="Rows by what they are.")
    destinations = HolderAnswer(many=True)
    told = ToldAnswer(many=True)


class ErasureStepAnswer(serializers.Serializer[Any]):
    """One step."""

    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # the word of the domain
    ended_at = serializers.DateTimeField(allow_null=True)


class ErasureDestinationAnswer(serializers.Serializer[Any]):
    """What one destination answered."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    state = serializers.ChoiceField(Removal.choices)
    problem = serializers.CharField(allow_blank=True, help_text="Why it is not removed yet; empty in a proof.")
    attempts = serializers.IntegerField()
    answered_at = serializers.DateTimeField(allow_null=True)
    settled_by = serializers.CharField(allow_blank=True, help_text="Who removed it by hand, such as person:3.")
    reason = serializers.CharField(allow_blank=True, help_text="How, in their words.")


class ErasureAnswer(serializers.Serializer[Any]):
    """An erasure; once it is finished, the proof of it. Nothing in it says who the person was."""

    id = serializers.IntegerField()
    asked_at = serializers.DateTimeField()
    asked_by = serializers.CharField(help_text="Such as person:3 or api_key:2.")
    finished_at = serializers.DateTimeField(allow_null=True)
    steps = ErasureStepAnswer(many=True)
    destinations = ErasureDestinationAnswer(many=True)
    counts = serializers.DictField(child=serializers.IntegerField(), help_text="Rows that went, by what they were.")


class EraseBody(Body):
    """Who is erased."""

    profile_id = serializers.UUIDField()


class ByHandBody(Body):
    """How someone was removed by hand."""

    reason = serializers.CharField(
        max_length=destinations.LONGEST_REASON, help_text="It stays in the proof: name no person, no address, no id."
    )


class Erasures(Endpoint):
    """Erases people; lists what was erased."""

    required_scope = {"GET": "privacy:read", "POST": "privacy:write"}

    @operation("list_erasures", query=PageQuery, answers=ErasureAnswer, is_page=True)
    def get(self, request: Request) -> Response:
        """Erasures under way and proofs, the latest first."""
        read_query(request, PageQuery)
        return answer_page(request, Erasure.objects.all(), ordering="-id", show=_show_all)

    @operation("erase_person", body=EraseBody, answers=ErasureAnswer, status=202, is_create=True)
    def post(self, request: Request) -> Response:
        """Refuse this person from now on, and erase them in the background. It cannot be taken back. 409: it is asked
        for already, or the profile is part of another one."""
        made = erasures.erase(read_body(request, EraseBody)["profile_id"], actor=actor_of(request))
        return Response(_show(pages.show(made)), status=202)


class OneErasure(Endpoint):
    """One erasure."""

    required_scope = "privacy:read"

    @operation("read_erasure", answers=ErasureAnswer, is_one=True)
    def get(self, request: Request, erasure_id: int) -> Response:
        """How far it has come; once it is finished, the proof."""
        return Response(_show(pages.show(erasures.find(erasure_id))))


class ErasureByHand(Endpoint):
    """Says that a destination was cleared by hand."""

    required_scope = "privacy:write"

    @operation("mark_removed_by_hand", body=ByHandBody, answers=ErasureAnswer)
    def post(self, request: Request, erasure_id: int, destination_id: int) -> Response:
        """For a destination that does not remove by itself; 409 when it has answered already."""
        reason = read_body(request, ByHandBody)["reason"]
        erasures.mark_by_hand(erasure_id, destination_id, reason=reason, actor=actor_of(request))
        return Response(_show(pages.show(erasures.find(erasure_id))))


class ErasurePreview(Endpoint):
    """What erasing one person would delete."""

    required_scope = "privacy:read"

    @operation("preview_erasure", answers=ErasurePreviewAnswer)
    def get(self, request: Request, guid: UUID) -> Response:
        """In numbers, here and elsewhere; nothing changes."""
        found = previews.preview(_find(guid).pk)
        holders = [
            {
                "schedule_id": each.schedule.pk,
                "name": each.schedule.name,
                "app": each.schedule.app.name,
                "note": each.note,
            }
            for each in found.holders
        ]
        told = [
            {"subscription_id": each.pk, "name": each.name, "app": each.app.name, "events": count}
            for each, count in found.told
        ]
        return Response({"counts": found.counts, "destinations": holders, "told": told})


class PersonAsFile(Endpoint):
    """Everything that is held about one person."""

    required_scope = "privacy:read"

    @operation("export_person", answers={"type": "object", "additionalProperties": {}})
    def get(self, request: Request, guid: UUID) -> StreamingHttpResponse:
        """One JSON object in a stream: properties with their provenance, identities, groups with reasons, events,
        changes, memberships, what was exported and sent, merges."""
        return StreamingHttpResponse(holdings.stream(_find(guid)), content_type="application/json")


def _find(guid: UUID) -> Profile:
    profile = Profile.objects.filter(pk=guid).first()
    if profile is None:
        raise NotFound(f"There is no profile {guid}.")
    return profile


def _show_all(found: Sequence[Erasure]) -> list[dict[str, Any]]:
    return [_show(pages.show(each)) for each in found]


def _show(shown: Shown) -> dict[str, Any]:
    erasure = shown.erasure
    return {
        "id": erasure.pk,
        "asked_at": erasure.asked_at,
        "asked_by": erasure.asked_by,
        "finished_at": erasure.finished_at,
        "steps": ErasureStepAnswer(shown.steps, many=True).data,
        "destinations": ErasureDestinationAnswer([each.destination for each in shown.destinations], many=True).data,
        "counts": erasure.counts,
    }
