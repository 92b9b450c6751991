"""Merging and undoing over HTTP, and a profile as it was known at a time."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.lib.errors import NotFound, Refused
from core.rest.auth import actor_of
from core.rest.endpoint import Endpoint, operation
from core.rest.reading import Body, Query, read_body, read_query
from pipeline import merging
from pipeline.process import Contended
from profiles import past
from profiles.models import Profile, ProfileMerge


class MergeAnswer(serializers.Serializer[ProfileMerge]):
    """One profile became part of another."""

    id = serializers.IntegerField()
    winner_id = serializers.UUIDField(help_text="The profile that stayed.")
    loser_id = serializers.UUIDField(help_text="The profile that became part of it.")
    at = serializers.DateTimeField()
    cause = serializers.CharField(help_text="The event, person or API key that brought it about.")
    undone_at = serializers.DateTimeField(allow_null=True)


class MergeBody(Body):
    """Who is the same person."""

    loser = serializers.UUIDField(help_text="The profile that becomes part of this one.")


class AsOfQuery(Query):
    """When."""

    at = serializers.DateTimeField(help_text="The time, in ISO 8601.")


class AsOfAnswer(serializers.Serializer[Any]):
    """What was known of someone at a time."""

    at = serializers.DateTimeField()
    properties = serializers.DictField(allow_null=True, help_text="By key; null before the profile was made.")
    is_certain = serializers.BooleanField(help_text="False where the change log begins later.")


class Merge(Endpoint):
    """Make two profiles one."""

    required_scope = "profiles:write"

    @operation("merge_profiles", body=MergeBody, answers=MergeAnswer)
    def post(self, request: Request, guid: UUID) -> Response:
        """The loser becomes part of this profile, with its identities, values and manual groups."""
        loser = read_body(request, MergeBody)["loser"]
        try:
            made = merging.merge(guid, loser, actor=actor_of(request))
        except Contended:
            raise Refused("These two are being changed by other work right now. Try again in a moment.") from None
        return Response(MergeAnswer(made).data)


class Merges(Endpoint):
    """What was merged with one profile."""

    required_scope = "profiles:read"

    @operation("list_merges", answers=MergeAnswer, is_list=True)
    def get(self, request: Request, guid: UUID) -> Response:
        """Whom it took in, or became part of, the latest first."""
        _find(guid)
        return Response({"results": [MergeAnswer(each).data for each in merging.merges_of(guid)]})


class UndoMerge(Endpoint):
    """Make them two again."""

    required_scope = "profiles:write"

    @operation("undo_merge", answers=MergeAnswer)
    def post(self, request: Request, merge_id: int) -> Response:
        """Both come back with their values, identities, events and manual groups; what came since stays."""
        return Response(MergeAnswer(merging.undo(merge_id, actor=actor_of(request))).data)


class AsOf(Endpoint):
    """One profile at a time."""

    required_scope = "profiles:read"

    @operation("read_profile_as_of", query=AsOfQuery, answers=AsOfAnswer)
    def get(self, request: Request, guid: UUID) -> Response:
        """Its values as they were known then."""
        known = past.as_of(_find(guid), read_query(request, AsOfQuery)["at"])
        return Response({"at": known.at, "properties": known.values, "is_certain": known.is_certain})


def _find(guid: UUID) -> Profile:
    profile = Profile.objects.filter(pk=guid).first()
    if profile is None:
        raise NotFound(f"There is no profile {guid}.")
    return profile
