"""Groups and their members over HTTP. Thin doors to `groups_store.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.lib.errors import NotFound
from core.rest.auth import actor_of
from core.rest.endpoint import Endpoint, operation, scopes_of
from core.rest.paging import answer_log, answer_page
from core.rest.reading import Body, PageQuery, read_body, read_query
from core.ui.counting import count
from groups import counting, groups_store, pages, queries
from groups.models import Group, GroupKind, GroupMember, GroupMembershipChange
from groups.operators import OPERATORS, Argument
from profiles.models import ValueTypeName

MOST_MEMBERS = 10_000  # that one request may add or remove
_EXAMPLE = 'Such as {"match": "all", "rules": [{"property": "ltv", "operator": "greater_than", "value": 0}]}.'


class GroupAnswer(serializers.Serializer[Group]):
    """A set of people."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(GroupKind.choices)
    rules = serializers.DictField(allow_null=True, help_text="Of a calculated group.")
    sentence = serializers.CharField(help_text="The rules in words.")
    size = serializers.IntegerField()
    size_is_exact = serializers.BooleanField(help_text="Whether it was counted; very large groups are estimated.")
    is_calculating = serializers.BooleanField(help_text="Whether members do not follow the rules yet.")
    calculated_percent = serializers.IntegerField(allow_null=True, help_text="How far the calculation has come.")
    calculated_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class NewGroup(Body):
    """A new group."""

    name = serializers.CharField(max_length=groups_store.MAX_NAME)
    kind = serializers.ChoiceField(GroupKind.choices)
    rules = serializers.DictField(required=False, allow_null=True, default=None, help_text=_EXAMPLE)


class GroupChanges(Body):
    """What changes of a group."""

    name = serializers.CharField(max_length=groups_store.MAX_NAME, required=False)
    rules = serializers.DictField(required=False, help_text=_EXAMPLE)


class Groups(Endpoint):
    """All groups; a new one."""

    required_scope = scopes_of("groups")

    @operation("list_groups", query=PageQuery, answers=GroupAnswer, is_page=True)
    def get(self, request: Request) -> Response:
        """Groups in the order they were made."""
        read_query(request, PageQuery)
        return answer_page(request, Group.objects.all(), ordering="id", show=show_groups)

    @operation("create_group", body=NewGroup, answers=GroupAnswer, status=201, is_create=True)
    def post(self, request: Request) -> Response:
        """Make a group. A calculated one fills in the background."""
        given = read_body(request, NewGroup)
        group = groups_store.create_group(
            given["name"], kind=given["kind"], rules=given["rules"], actor=actor_of(request)
        )
        return Response(show_groups([group])[0], status=201)


class OneGroup(Endpoint):
    """One group."""

    required_scope = scopes_of("groups")

    @operation("read_group", answers=GroupAnswer, is_one=True)
    def get(self, request: Request, group_id: int) -> Response:
        """As it is, with its size and how far its calculation has come."""
        return Response(show_groups([find_group(group_id)])[0])

    @operation("change_group", body=GroupChanges, answers=GroupAnswer)
    def patch(self, request: Request, group_id: int) -> Response:
        """Change its name or its rules; members follow new rules in the background."""
        given = read_body(request, GroupChanges, partial=True)
        group = find_group(group_id)
        with transaction.atomic():
            if "name" in given:
                group = groups_store.rename_group(group.pk, name=given["name"], actor=actor_of(request))
            if "rules" in given:
                group = groups_store.update_rules(group.pk, given["rules"], actor=actor_of(request))
        return Response(show_groups([group])[0])

    @operation("delete_group", status=204)
    def delete(self, request: Request, group_id: int) -> Response:
        """Delete it; everyone leaves it. 409 while an export or another group uses it."""
        groups_store.delete_group(find_group(group_id).pk, actor=actor_of(request))
        return Response(status=204)


class Recalculate(Endpoint):
    """Recalculates one group."""

    required_scope = "groups:write"

    @operation("recalculate_group", answers=GroupAnswer, status=202)
    def post(self, request: Request, group_id: int) -> Response:
        """Go through all people again, in the background."""
        group = find_group(group_id)
        groups_store.recalculate_group(group.pk, actor=actor_of(request))
        return Response(show_groups([group])[0], status=202)


# ---------------------------------------------------------------- counting before saving


class CountBody(Body):
    """Rules that are not saved."""

    rules = serializers.DictField(help_text=_EXAMPLE)


class LeafCountAnswer(serializers.Serializer[Any]):
    """How many one of the rules takes."""

    path = serializers.CharField(help_text="Its place among the rules, such as 0 or 0.2.")
    sentence = serializers.CharField()
    alone = serializers.IntegerField()
    without_value = serializers.IntegerField(
        allow_null=True, help_text="People without a value, for negative rules alone: null for the others."
    )
    takes_without_value = serializers.BooleanField()


class StepAnswer(serializers.Serializer[Any]):
    """One of the rules at the top: how many people the rules take with it and those before it."""

    path = serializers.CharField()
    sentence = serializers.CharField()
    people = serializers.IntegerField()


class CountAnswer(serializers.Serializer[Any]):
    """How many people rules would take now."""

    sentence = serializers.CharField()
    everyone = serializers.IntegerField()
    matching = serializers.IntegerField()
    leaves = LeafCountAnswer(many=True)
    funnel = StepAnswer(many=True)
    sample = serializers.ListField(child=serializers.UUIDField(), help_text="Some of them.")
    seconds = serializers.FloatField()


class CountRules(Endpoint):
    """Counts before anyone saves."""

    required_scope = "groups:read"

    @operation("count_rules", body=CountBody, answers=CountAnswer)
    def post(self, request: Request) -> Response:
        """How many the rules would take, each alone, and rule by rule. 409 when counting takes too long."""
        return Response(CountAnswer(counting.count(read_body(request, CountBody)["rules"])).data)


# ---------------------------------------------------------------- members


class MemberAnswer(serializers.Serializer[Any]):
    """A person in a group; what is known of them is read as a profile."""

    profile_id = serializers.UUIDField()
    since = serializers.DateTimeField(source="created_at")


class MembersBody(Body):
    """Which people."""

    profiles = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MOST_MEMBERS)


class MovedAnswer(serializers.Serializer[Any]):
    """How many people joined or left; those that were in, or out, already are not counted."""

    changed = serializers.IntegerField()


class MoveAnswer(serializers.Serializer[Any]):
    """Someone joined or left."""

    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    group_id = serializers.IntegerField()
    profile_id = serializers.UUIDField()
    joined = serializers.BooleanField()
    cause = serializers.CharField(help_text="profile, rules, time, or person:ID.")


class Members(Endpoint):
    """The members of one group."""

    required_scope = "groups:read"

    @operation("list_members", query=PageQuery, answers=MemberAnswer, is_page=True)
    def get(self, request: Request, group_id: int) -> Response:
        """Members, those whose profile is the latest first. Whole profiles: list profiles by group."""
        group = find_group(group_id)
        read_query(request, PageQuery)
        found = GroupMember.objects.filter(group=group)
        return answer_page(request, found, ordering="-profile_id", show=_show_members)


class AddMembers(Endpoint):
    """Puts people into one manual group."""

    required_scope = "groups:write"

    @operation("add_members", body=MembersBody, answers=MovedAnswer)
    def post(self, request: Request, group_id: int) -> Response:
        """Those that do not exist are passed over. 409 when the group is calculated."""
        group = find_group(group_id)
        profiles = read_body(request, MembersBody)["profiles"]
        return Response({"changed": groups_store.add_members(group.pk, profiles, actor=actor_of(request))})


class RemoveMembers(Endpoint):
    """Takes people out of one manual group."""

    required_scope = "groups:write"

    @operation("remove_members", body=MembersBody, answers=MovedAnswer)
    def post(self, request: Request, group_id: int) -> Response:
        """Those that are not in it are passed over. 409 when the group is calculated."""
        group = find_group(group_id)
        profiles = read_body(request, MembersBody)["profiles"]
        return Response({"changed": groups_store.remove_members(group.pk, profiles, actor=actor_of(request))})


class MembershipLog(Endpoint):
    """Who joined and left one group."""

    required_scope = "groups:read"

    @operation("list_moves", query=PageQuery, answers=MoveAnswer, is_page=True)
    def get(self, request: Request, group_id: int) -> Response:
        """Joining and leaving, the latest first."""
        group = find_group(group_id)
        read_query(request, PageQuery)
        found = GroupMembershipChange.objects.filter(group_id=group.pk)
        return answer_log(request, found, show=show_moves)


# ---------------------------------------------------------------- operators


class OperatorAnswer(serializers.Serializer[Any]):
    """What a rule can ask of a property."""

    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # the word of the domain
    types = serializers.ListField(child=serializers.ChoiceField(ValueTypeName.choices))
    argument = serializers.ChoiceField([argument.value for argument in Argument])
    is_negative = serializers.BooleanField(help_text="Takes people without a value too, unless include_null is false.")
    on_single = serializers.BooleanField()
    on_array = serializers.BooleanField()


class Operators(Endpoint):
    """What rules can ask."""

    required_scope = "groups:read"

    @operation("list_operators", answers=OperatorAnswer, is_list=True)
    def get(self, request: Request) -> Response:
        """Every operator with the types of properties that it suits."""
        return Response({"results": [_show_operator(each) for each in OPERATORS]})


# ---------------------------------------------------------------- how they are found and shown


def find_group(group_id: int) -> Group:
    """One group. Raises NotFound."""
    group = Group.objects.filter(pk=group_id).first()
    if group is None:
        raise NotFound(f"There is no group {group_id}.")
    return group


def show_groups(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Groups with their sizes and progress, a few statements for all of them."""
    sizes = count(pages.size_questions(groups))
    progress = queries.progress_of([group.pk for group in groups])
    words = pages.sentences(groups)
    return [
        {
            "id": group.pk,
            "name": group.name,
            "kind": group.kind,
            "rules": group.rules,
            "sentence": "".join(text for text, _ in words.get(group.pk, ())) or groups_store.say_rules(group),
            "size": sizes[f"group {group.pk}"].all,
            "size_is_exact": sizes[f"group {group.pk}"].exact,
            "is_calculating": group.kind == GroupKind.CALCULATED and group.calculated_version < group.rules_version,
            "calculated_percent": _percent(progress.get(group.pk)),
            "calculated_at": group.calculated_at,
            "created_at": group.created_at,
            "updated_at": group.updated_at,
        }
        for group in groups
    ]


def show_moves(moves: Sequence[GroupMembershipChange]) -> Any:
    """Rows of the membership log."""
    return MoveAnswer(moves, many=True).data


def _show_members(members: Sequence[GroupMember]) -> Any:
    return [MemberAnswer(member).data for member in members]


def _show_operator(operator: Any) -> dict[str, Any]:
    return {
        "key": operator.key,
        "label": operator.label,
        "types": sorted(operator.types),
        "argument": operator.argument.value,
        "is_negative": operator.is_negative,
        "on_single": operator.on_single,
        "on_array": operator.on_array,
    }


def _percent(progress: tuple[int, int | None] | None) -> int | None:
    if progress is None or not progress[1]:
        return None
    return min(99, progress[0] * 100 // progress[1])
