"""What people do with groups, over HTTP: lists of people, copies, overlap, breakdown, one group for each value."""

from __future__ import annotations

from typing import Any

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.lib.errors import InvalidInput
from core.rest.auth import actor_of
from core.rest.endpoint import Endpoint, operation
from core.rest.reading import Body, Query, read_body, read_query
from core.ui.used_by import users_of
from groups import analysis, groups_store, people_lists, values
from groups.api import GroupAnswer, find_group, show_groups
from groups.models import Group
from profiles.finding import MOST_LINES, find_by_values
from profiles.models import ProfilePropertyRule, RuleState

_ACTS = [("add", "Put them in"), ("remove", "Take them out"), ("replace", "Make them, and nobody else, its members")]


class ListBody(Body):
    """People by what identifies them."""

    values = serializers.ListField(
        child=serializers.CharField(max_length=2000),
        min_length=1,
        max_length=MOST_LINES,
        help_text="Guids, or values of any unique property.",
    )
    act = serializers.ChoiceField(_ACTS)
    dry_run = serializers.BooleanField(required=False, default=False, help_text="Only say what would change.")


class ListAnswer(serializers.Serializer[Any]):
    """What became of a list."""

    joined = serializers.IntegerField()
    left = serializers.IntegerField()
    unmatched = serializers.ListField(child=serializers.CharField(), help_text="Values that name nobody.")
    ambiguous = serializers.ListField(child=serializers.CharField(), help_text="Values that name several people.")


class MembersFromList(Endpoint):
    """Changes the members of one manual group by a list."""

    required_scope = "groups:write"

    @operation("change_members_by_list", body=ListBody, answers=ListAnswer)
    def post(self, request: Request, group_id: int) -> Response:
        """Values that name nobody are given back. 409 when the group is calculated."""
        group, given = find_group(group_id), read_body(request, ListBody)
        found = find_by_values(given["values"])
        joined, left = groups_store.move_members(
            group.pk, found.guids, act=given["act"], is_trial=given["dry_run"], actor=actor_of(request)
        )
        return Response({"joined": joined, "left": left, "unmatched": found.unmatched, "ambiguous": found.ambiguous})


class MembersAsCsv(Endpoint):
    """The members of one group as a file."""

    required_scope = "groups:read"

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Whoever accepts CSV alone gets it; errors are JSON all the same."""
        return super().perform_content_negotiation(request, force=True)

    @operation("download_members", answers=str, media_type="text/csv")
    def get(self, request: Request, group_id: int) -> HttpResponseBase:
        """A CSV with a heading: guid, joined_at and every property; cells that look like formulas are quoted."""
        group = find_group(group_id)
        rules = list(ProfilePropertyRule.objects.filter(state=RuleState.READY).order_by("id"))
        return StreamingHttpResponse(people_lists.stream_members(group, rules), content_type="text/csv; charset=utf-8")


class CopyBody(Body):
    """The copy."""

    name = serializers.CharField(max_length=groups_store.MAX_NAME, required=False, default="")


class CopyOfGroup(Endpoint):
    """Copies one group."""

    required_scope = "groups:write"

    @operation("copy_group", body=CopyBody, answers=GroupAnswer, status=201, is_create=True)
    def post(self, request: Request, group_id: int) -> Response:
        """A group with the same rules, or of a manual one with the same members."""
        group, given = find_group(group_id), read_body(request, CopyBody)
        copied = groups_store.copy_group(group.pk, name=given["name"], actor=actor_of(request))
        return Response(show_groups([copied])[0], status=201)


class UserAnswer(serializers.Serializer[Any]):
    """Something that uses a group."""

    name = serializers.CharField(help_text="Such as: the group Lapsed customers.")


class UsersOfGroup(Endpoint):
    """What uses one group."""

    required_scope = "groups:read"

    @operation("list_users_of_group", answers=UserAnswer, is_list=True)
    def get(self, request: Request, group_id: int) -> Response:
        """Other groups, exports and subscriptions; while there are any it cannot be deleted."""
        return Response({"results": [{"name": name} for name in users_of(find_group(group_id))]})


# ---------------------------------------------------------------- analysis


class OverlapQuery(Query):
    """Which groups."""

    groups = serializers.CharField(max_length=200, help_text="The numbers of 2 to 8 groups, such as 3,5,8.")


class CombinationAnswer(serializers.Serializer[Any]):
    """People who are in exactly these groups, of those asked about."""

    groups = serializers.ListField(child=serializers.IntegerField(), source="group_ids")
    people = serializers.IntegerField()


class SizeAnswer(serializers.Serializer[Any]):
    """The size of a group."""

    group_id = serializers.IntegerField()
    people = serializers.IntegerField()


class PairAnswer(serializers.Serializer[Any]):
    """How many people are in both of two groups."""

    groups = serializers.ListField(child=serializers.IntegerField())
    people = serializers.IntegerField()


class OverlapAnswer(serializers.Serializer[Any]):
    """How groups overlap."""

    sizes = SizeAnswer(many=True)
    pairs = PairAnswer(many=True)
    combinations = CombinationAnswer(many=True)
    is_exact = serializers.BooleanField(help_text="Whether all were counted; of many people it is a sample.")


class OverlapOfGroups(Endpoint):
    """How groups overlap."""

    required_scope = "groups:read"

    @operation("read_overlap", query=OverlapQuery, answers=OverlapAnswer)
    def get(self, request: Request) -> Response:
        """How many people are in which combination of these groups. 409 when it takes too long."""
        asked = read_query(request, OverlapQuery)["groups"].split(",")
        if not all(each.strip().isascii() and each.strip().isdecimal() and len(each.strip()) < 10 for each in asked):
            raise InvalidInput("Write the numbers of groups, such as 3,5,8.", {"groups": "Such as 3,5,8."})
        found = analysis.overlap([find_group(int(each)).pk for each in asked])
        shown = {
            "sizes": [{"group_id": group_id, "people": people} for group_id, people in found.sizes.items()],
            "pairs": [{"groups": list(pair), "people": people} for pair, people in found.pairs.items()],
            "combinations": found.combinations,
            "is_exact": found.is_exact,
        }
        return Response(OverlapAnswer(shown).data)


class BreakdownQuery(Query):
    """By what."""

    property = serializers.CharField(max_length=60, help_text="The key of a property.")


class PartAnswer(serializers.Serializer[Any]):
    """People with one value, or with values of one range or period."""

    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]  # the word of the domain
    people = serializers.IntegerField()


class BreakdownAnswer(serializers.Serializer[Any]):
    """The members of a group by a property."""

    everyone = serializers.IntegerField()
    parts = PartAnswer(many=True)
    rest = serializers.IntegerField(help_text="With other values than these.")
    without_value = serializers.IntegerField()
    is_exact = serializers.BooleanField(help_text="Whether all were counted; of many people it is a sample.")


class BreakdownOfGroup(Endpoint):
    """One group by a property."""

    required_scope = "groups:read"

    @operation("read_breakdown", query=BreakdownQuery, answers=BreakdownAnswer)
    def get(self, request: Request, group_id: int) -> Response:
        """Its 20 most frequent values, ranges of numbers, or months; of lists, items. 409 when it takes too long."""
        group = find_group(group_id)
        rule = values.find_property(read_query(request, BreakdownQuery)["property"])
        return Response(BreakdownAnswer(analysis.break_down(rule, group_id=group.pk)).data)


class ValuesBody(Body):
    """Which groups."""

    property = serializers.CharField(max_length=60, help_text="The key of a property.")
    values = serializers.ListField(child=serializers.CharField(max_length=2000), min_length=1, max_length=values.MOST)
    name = serializers.CharField(
        max_length=groups_store.MAX_NAME, help_text="Of each group, with {value} in it, such as Country: {value}."
    )


class GroupsOfValues(Endpoint):
    """Makes one group for each value of a property."""

    required_scope = "groups:write"

    @operation("create_groups_of_values", body=ValuesBody, answers=GroupAnswer(many=True), status=201, is_create=True)
    def post(self, request: Request) -> Response:
        """All of them, or none."""
        given = read_body(request, ValuesBody)
        rule = values.find_property(given["property"])
        groups: list[Group] = values.make_groups(rule, given["values"], name=given["name"], actor=actor_of(request))
        return Response(show_groups(groups), status=201)
