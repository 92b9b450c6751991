"""Profiles over HTTP: who there is, what we know of them and from where, what happened, their groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.lib.errors import InvalidInput, NotFound, Refused
from core.rest.endpoint import Endpoint, operation
from core.rest.paging import answer_log, answer_page
from core.rest.reading import PageQuery, read_query
from events.models import Event
from groups.api import MoveAnswer, find_group, show_moves
from groups.explaining import Branch, Reason, explain
from groups.models import GroupKind, GroupMember, GroupMembershipChange
from groups.queries import groups_of
from pipeline.api import EventAnswer, show_events
from pipeline.refresh import refresh
from profiles import queries
from profiles.merges import all_ids
from profiles.models import Profile, ProfileChange
from profiles.profile_answers import (
    ChangeAnswer,
    DetailedProfileAnswer,
    ProfileAnswer,
    listed,
    show_changes,
    show_in_detail,
    show_listed,
    show_profiles,
)


class ProfilesQuery(PageQuery):
    """Which people. At most one of `q`, `property` and `group`."""

    q = serializers.CharField(
        required=False, max_length=500, help_text="A unique value or how it begins, or a guid; 50 people at most."
    )
    property = serializers.CharField(required=False, max_length=60, help_text="The key of a unique property.")
    value = serializers.CharField(required=False, max_length=2000, help_text="The value of that property.")
    group = serializers.IntegerField(required=False, min_value=1, help_text="The number of a group: its members.")


class GroupOfProfile(serializers.Serializer[Any]):
    """A group that someone is in."""

    group_id = serializers.IntegerField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(GroupKind.choices)
    since = serializers.DateTimeField()


class Profiles(Endpoint):
    """Everyone."""

    required_scope = "profiles:read"

    @operation("list_profiles", query=ProfilesQuery, answers=ProfileAnswer, is_page=True)
    def get(self, request: Request) -> Response:
        """People, the latest first; or whom a text, a unique property or a group picks."""
        wanted = read_query(request, ProfilesQuery)
        if sum(name in wanted for name in ("q", "property", "group")) > 1:
            raise InvalidInput("Ask by one of q, property and group.")
        if "q" in wanted:
            found = queries.search(wanted["q"], queries.rules_in_use())[: queries.MOST_FOUND]
            return _answer_all(found)
        if "property" in wanted or "value" in wanted:
            return _answer_all(_find_by_property(wanted))
        if "group" in wanted:
            members = GroupMember.objects.filter(group=find_group(wanted["group"]))
            return answer_page(request, members, ordering="-profile_id", show=_show_members)
        everyone = listed(Profile.objects.filter(merged_into__isnull=True))
        return answer_page(request, everyone, ordering="-guid", show=show_listed)


class OneProfile(Endpoint):
    """One person."""

    required_scope = "profiles:read"

    @operation("read_profile", answers=DetailedProfileAnswer, is_one=True)
    def get(self, request: Request, guid: UUID) -> Response:
        """Every property with its value, where it came from, and why there is none."""
        return Response(show_in_detail(_find(guid)))


class Refresh(Endpoint):
    """Asks every App again for one person."""

    required_scope = "profiles:write"

    @operation("refresh_profile", answers=DetailedProfileAnswer)
    def post(self, request: Request, guid: UUID) -> Response:
        """Ask now; the person as they are then. An App that is away is asked again later."""
        refresh([_find(guid).pk])
        return Response(show_in_detail(_find(guid)))


class Changes(Endpoint):
    """The change log of one person."""

    required_scope = "profiles:read"

    @operation("list_changes", query=PageQuery, answers=ChangeAnswer, is_page=True)
    def get(self, request: Request, guid: UUID) -> Response:
        """What changed and why, the latest first."""
        profile = _find(guid)
        read_query(request, PageQuery)
        return answer_log(request, ProfileChange.objects.filter(profile_id__in=all_ids(profile.pk)), show=show_changes)


class EventsOfProfile(Endpoint):
    """The events of one person."""

    required_scope = "profiles:read"

    @operation("list_events_of_profile", query=PageQuery, answers=EventAnswer, is_page=True)
    def get(self, request: Request, guid: UUID) -> Response:
        """What happened to them, the latest first."""
        profile = _find(guid)
        read_query(request, PageQuery)
        return answer_page(
            request,
            Event.objects.filter(profile_id__in=all_ids(profile.pk)),
            ordering="-id",
            show=show_events,
        )


class GroupsOfProfile(Endpoint):
    """The groups of one person."""

    required_scope = "profiles:read"

    @operation("list_groups_of_profile", answers=GroupOfProfile, is_list=True)
    def get(self, request: Request, guid: UUID) -> Response:
        """The groups they are in, by name."""
        return Response({"results": GroupOfProfile(groups_of(_find(guid).pk), many=True).data})


class ReasonAnswer(serializers.Serializer[Reason]):
    """One rule of a group, for one person."""

    path = serializers.CharField(help_text="Its place among the rules, such as 0 or 0.2.")
    kind = serializers.ChoiceField(["property", "profile", "group", "event"])
    key = serializers.CharField(help_text="Of the property or field; the type of event; the number of the group.")
    sentence = serializers.CharField()
    holds = serializers.BooleanField()
    wanted = serializers.BooleanField(help_text="The answer that helps them into the group.")
    is_moot = serializers.BooleanField(help_text="Whether it does not matter that the answer is another.")
    value = serializers.JSONField(
        allow_null=True,
        help_text="A property's or field's value; since when they are in a group; how often they did it.",
    )
    at = serializers.DateTimeField(
        allow_null=True, help_text="When the value changed, they joined, or last did it; null where it never was."
    )
    cause = serializers.CharField(help_text="What set the value, where that is not the property's own source.")
    short = serializers.CharField(help_text="How far a miss is, in words.")


class BlockAnswer(serializers.Serializer[Branch]):
    """A block of rules, for one person; the outermost one has no path."""

    path = serializers.CharField()
    match = serializers.ChoiceField(["all", "any", "none"])
    holds = serializers.BooleanField()
    wanted = serializers.BooleanField()


class ExplanationAnswer(serializers.Serializer[Any]):
    """Why one person is in one calculated group, or not."""

    group_id = serializers.IntegerField()
    is_member = serializers.BooleanField()
    since = serializers.DateTimeField(allow_null=True)
    holds = serializers.BooleanField(help_text="Whether the rules hold now; membership follows at once.")
    missing = serializers.IntegerField(help_text="How many rules would have to turn round.")
    nearest = serializers.CharField(help_text="Where that is one: what is missing.")
    flips_at = serializers.DateTimeField(allow_null=True, help_text="When time alone turns the answer round.")
    blocks = BlockAnswer(many=True)
    reasons = ReasonAnswer(many=True)


class WhyInGroup(Endpoint):
    """Why one person is in one group, or not."""

    required_scope = "profiles:read"

    @operation("explain_group_of_profile", answers=ExplanationAnswer)
    def get(self, request: Request, guid: UUID, group_id: int) -> Response:
        """Each rule with its answer, the value that decides it, and when time alone changes it. 409: not calculated."""
        profile, group = _find(guid), find_group(group_id)
        explanation = explain(profile, [group], now=timezone.now()).get(group.pk)
        if explanation is None:
            raise Refused(f"{group.name} has no rules that could be explained.")
        member = GroupMember.objects.filter(group=group, profile_id=profile.pk).first()
        found = {
            "group_id": group.pk,
            "is_member": member is not None,
            "since": member.created_at if member else None,
            "holds": explanation.holds,
            "missing": explanation.missing,
            "nearest": explanation.nearest,
            "flips_at": explanation.flips_at,
            "blocks": explanation.blocks,
            "reasons": [replace(each, value=_plain(each.value)) for each in explanation.reasons],
        }
        return Response(ExplanationAnswer(found).data)


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, datetime):
        return serializers.DateTimeField().to_representation(value)
    return str(value) if isinstance(value, UUID) else value


class MovesOfProfile(Endpoint):
    """The groups one person joined and left."""

    required_scope = "profiles:read"

    @operation("list_moves_of_profile", query=PageQuery, answers=MoveAnswer, is_page=True)
    def get(self, request: Request, guid: UUID) -> Response:
        """Joining and leaving, the latest first."""
        profile = _find(guid)
        read_query(request, PageQuery)
        return answer_log(request, GroupMembershipChange.objects.filter(profile_id=profile.pk), show=show_moves)


def _find(guid: UUID) -> Profile:
    profile = Profile.objects.filter(pk=guid).first()
    if profile is None:
        raise NotFound(f"There is no profile {guid}.")
    return profile


def _find_by_property(wanted: dict[str, Any]) -> list[Profile]:
    missing = [name for name in ("property", "value") if name not in wanted]
    if missing:
        raise InvalidInput("Give both property and value.", dict.fromkeys(missing, "This is needed."))
    unique = {rule.key: rule for rule in queries.rules_in_use() if rule.is_unique}
    rule = unique.get(wanted["property"])
    if rule is None:
        message = f"“{wanted['property']}” is not a unique property. There are: {', '.join(unique) or 'none'}."
        raise InvalidInput(message, {"property": message})
    return queries.find_by_identity(rule, wanted["value"])


def _answer_all(found: Sequence[Profile]) -> Response:
    """A page that is all there is."""
    return Response({"next": None, "previous": None, "results": show_profiles(found)})


def _show_members(members: Sequence[GroupMember]) -> list[dict[str, Any]]:
    return show_profiles(queries.by_ids([member.profile_id for member in members]))
