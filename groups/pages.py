"""What the pages of groups show: sizes, how they moved, members, the membership log. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import F, OuterRef, Q, Subquery
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from core.accounts import project
from core.lib.errors import InvalidInput
from core.ui import search
from core.ui.causes import Cause
from core.ui.counting import Count, Question, count
from core.ui.search import Hit
from groups.models import Group, GroupKind, GroupMember, GroupMembershipChange, GroupSize
from groups.reading import mentioned_groups, read_tree
from groups.sentence import Piece, say_pieces
from profiles import ruleset

Sentence = tuple[Piece, ...]

DAYS = 30
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Sized:
    """A group with its size now, its sizes of the last 30 days (today's the last), and how it moved in 7 days."""

    group: Group
    size: Count
    series: tuple[tuple[date, int], ...]
    moved: int | None  # None while it is younger than its history

    @property
    def values(self) -> list[int]:
        """The sizes alone, for a sparkline."""
        return [size for _, size in self.series]

    @property
    def before(self) -> int:
        """The size that `moved` is compared with."""
        return self.size.all - (self.moved or 0)

    @property
    def is_behind(self) -> bool:
        """Whether its members do not follow its rules yet."""
        group = self.group
        return group.kind == GroupKind.CALCULATED and group.calculated_version < group.rules_version


@dataclass(frozen=True, slots=True)
class Joined:
    """A group that a profile is in, and since when."""

    group: Group
    at: datetime


# What the list of groups is sorted by: the group alone, or its size, for which all of them have to be counted.
PLAIN_SORTS: Mapping[str, Callable[[Group], Any]] = {
    "name": lambda group: group.name.lower(),
    "calculated": lambda group: group.calculated_at if group.kind == GroupKind.CALCULATED else None,
}
SIZE_SORTS: Mapping[str, Callable[[Sized], Any]] = {
    "size": lambda sized: sized.size.all,
    "moved": lambda sized: sized.moved,
}
SORTS = (*PLAIN_SORTS, *SIZE_SORTS)


def size_questions(groups: Sequence[Group]) -> dict[str, Question]:
    """How many are in each of these groups: for whoever counts more at the same time."""
    return {f"group {group.pk}": Question("group_member where group_id = %s", [group.pk]) for group in groups}


def with_sizes(groups: Sequence[Group], *, counted: Mapping[str, Count] | None = None) -> list[Sized]:
    """Sizes of all these groups with three statements, whatever their number; with one when they are `counted`."""
    if not groups:
        return []
    today = timezone.localdate(timezone=project.current().time_zone)  # sizes are written down by its days
    ids = [group.pk for group in groups]
    sizes: dict[int, list[tuple[date, int]]] = {}
    history = GroupSize.objects.filter(group_id__in=ids, day__gte=today - timedelta(days=DAYS), day__lt=today)
    for group_id, day, size in history.order_by("day").values_list("group_id", "day", "size"):
        sizes.setdefault(group_id, []).append((day, size))
    now = count(size_questions(groups)) if counted is None else counted
    return [_sized(group, now[f"group {group.pk}"], sizes.get(group.pk, []), today) for group in groups]


def moved_most(sized: Sequence[Sized], *, limit: int = 5) -> list[Sized]:
    """The groups that changed most in seven days, by people."""
    return sorted(sized, key=lambda each: (-abs(each.moved or 0), -each.size.all, each.group.name))[:limit]


def moves_since(at: datetime, group_ids: Sequence[int]) -> Question:
    """How many joined and left since then."""
    return Question(
        "group_membership_change where group_id = any(%s) and at >= %s",
        [list(group_ids), at],
        {"joined": "count(*) filter (where joined)", "left": "count(*) filter (where not joined)"},
    )


def groups_of(profile_ids: Sequence[UUID]) -> dict[UUID, list[Joined]]:
    """The groups each of these profiles is in, by name."""
    found: dict[UUID, list[Joined]] = {}
    members = GroupMember.objects.filter(profile_id__in=list(profile_ids)).select_related("group")
    for member in members.order_by("group__name"):
        found.setdefault(member.profile_id, []).append(Joined(member.group, member.created_at))
    return found


def groups_for(profile_id: UUID, *, limit: int) -> list[tuple[Group, datetime | None]]:
    """Groups by name with when this profile joined, None where it is not in; of many, those it is in for certain."""
    member = GroupMember.objects.filter(group_id=OuterRef("pk"), profile_id=profile_id)
    groups = Group.objects.annotate(joined_at=Subquery(member.values("created_at")))
    found = groups.order_by(F("joined_at").asc(nulls_last=True), "name")[:limit]
    return [(group, group.joined_at) for group in sorted(found, key=lambda group: group.name.lower())]


def member_ids(
    group_id: int, *, before: UUID | None, limit: int, oldest_first: bool = False
) -> list[tuple[UUID, datetime]]:
    """Members and when they joined, in falling order of guid; `before` is the last guid of the page above."""
    members = GroupMember.objects.filter(group_id=group_id)
    if before is not None:
        members = members.filter(profile_id__gt=before) if oldest_first else members.filter(profile_id__lt=before)
    order = "profile_id" if oldest_first else "-profile_id"
    return list(members.order_by(order).values_list("profile_id", "created_at")[:limit])


def which_are_members(group_id: int, profile_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the given profiles that are in the group."""
    members = GroupMember.objects.filter(group_id=group_id, profile_id__in=list(profile_ids))
    return set(members.values_list("profile_id", flat=True))


def log_of_group(
    group_id: int, *, before: tuple[datetime, int] | None = None, limit: int
) -> list[GroupMembershipChange]:
    """Who joined and left, newest first; `before` is (at, id) of the last row of the page above."""
    log = GroupMembershipChange.objects.filter(group_id=group_id)
    if before is not None:
        log = log.filter(Q(at__lt=before[0]) | Q(at=before[0], id__lt=before[1]))
    return list(log.order_by("-at", "-id")[:limit])


def moves_of_profile(profile_id: UUID, *, limit: int) -> list[GroupMembershipChange]:
    """The groups a profile joined and left, newest first."""
    return list(GroupMembershipChange.objects.filter(profile_id=profile_id).order_by("-at", "-id")[:limit])


def names(group_ids: Sequence[int]) -> Mapping[int, str]:
    """Names by id."""
    if not group_ids:
        return {}
    return dict(Group.objects.filter(pk__in=set(group_ids)).values_list("pk", "name"))


def name_causes(ids: Sequence[str]) -> dict[str, Cause]:
    """The causes "group:ID" in words: someone joined or left a group that another one reads."""
    known = names([int(each) for each in ids])
    return {
        str(pk): Cause(gettext("%(name)s changed") % {"name": name}, reverse("groups:show", args=[pk]))
        for pk, name in known.items()
    }


def _sized(group: Group, size: Count, history: list[tuple[date, int]], today: date) -> Sized:
    if not size.exact and history:
        size = Count(all=history[-1][1], exact=False)
    series = (*history, (today, size.all))
    week_ago = today - _WEEK
    reference = next((value for day, value in reversed(history) if day <= week_ago), None)
    return Sized(group, size, series, None if reference is None else size.all - reference)


def sentences(groups: Sequence[Group]) -> dict[int, Sentence]:
    """The rules of each calculated group in words, with two statements for all of them."""
    calculated = [group for group in groups if group.kind == GroupKind.CALCULATED and group.rules]
    if not calculated:
        return {}
    by_key, region = ruleset.load().by_key, project.current().phone_region
    known = names(sorted({id_ for group in calculated for id_ in mentioned_groups(group.rules)}))
    found: dict[int, Sentence] = {}
    for group in calculated:
        try:
            tree = read_tree(group.rules, by_key=by_key, groups=known, region=region)
        except InvalidInput:  # a rule it reads has just been deleted: there is nothing to say of it any more
            continue
        found[group.pk] = say_pieces(tree)
    return found


def find_groups(text: str, limit: int) -> list[Hit]:
    """For the search box: groups by words of their names."""
    found = search.named(Group.objects.all(), text, "name")[:limit]
    return [Hit(group.name, reverse("groups:show", args=[group.pk]), group.get_kind_display()) for group in found]
