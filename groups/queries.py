"""What pages and the API read of groups. Nothing here writes; everything that grows comes by pages with a key."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext

from core.lib.errors import NotFound
from core.work.models import UNFINISHED, Work
from groups.groups_store import say_rules
from groups.models import Group, GroupKind, GroupMember, GroupMembershipChange, GroupSize
from groups.recalculation import KIND

PAGE = 50


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """A group as lists and its page show it. `progress` is done and total while it is being recalculated."""

    group: Group
    size: int
    sentence: str
    progress: tuple[int, int | None] | None

    @property
    def is_calculated(self) -> bool:
        """Whether its members follow from rules."""
        return self.group.kind == GroupKind.CALCULATED


@dataclass(frozen=True, slots=True)
class Membership:
    """A profile is in a group since a time."""

    group_id: int
    name: str
    kind: str
    since: datetime


def list_groups(*, after: str = "", limit: int = PAGE) -> list[GroupSummary]:
    """Groups by name, those after a name. Four statements, whatever the limit."""
    groups = Group.objects.order_by("name")
    if after:
        groups = groups.filter(name__gt=after)
    return summarize(groups[:limit])


def get_group(group_id: int) -> GroupSummary:
    """One group; raises NotFound."""
    found = summarize(Group.objects.filter(pk=group_id))
    if not found:
        raise NotFound(gettext("There is no such group. It may have been deleted."))
    return found[0]


def summarize(groups: Iterable[Group]) -> list[GroupSummary]:
    """Groups with their size, sentence and progress."""
    listed = list(groups)
    sizes = count_members([group.pk for group in listed])
    progress = progress_of([group.pk for group in listed])
    return [GroupSummary(group, sizes.get(group.pk, 0), say_rules(group), progress.get(group.pk)) for group in listed]


def count_members(group_ids: Iterable[int]) -> dict[int, int]:
    """How many profiles are in each of these groups now; groups without any are left out."""
    members = GroupMember.objects.filter(group__in=list(group_ids)).values("group_id")
    return dict(members.annotate(size=Count("profile_id")).values_list("group_id", "size"))


def names_of_others(group: Group | None) -> dict[int, str]:
    """The groups that a group may ask about, by id, in the order of their names."""
    others = Group.objects.all() if group is None else Group.objects.exclude(pk=group.pk)
    return dict(others.order_by("name").values_list("pk", "name"))


def count_groups() -> int:
    """How many groups there are."""
    return Group.objects.count()


def list_members(group_id: int, *, after: UUID | None = None, limit: int = PAGE) -> list[tuple[UUID, datetime]]:
    """Members of a group by profile id, with when they joined; those after a profile."""
    members = GroupMember.objects.filter(group=group_id).order_by("profile_id")
    if after is not None:
        members = members.filter(profile_id__gt=after)
    return list(members.values_list("profile_id", "created_at")[:limit])


def list_changes(
    *,
    group_id: int | None = None,
    profile_ids: Iterable[UUID] | None = None,
    before: tuple[datetime, int] | None = None,
    limit: int = PAGE,
) -> list[GroupMembershipChange]:
    """The log of joining and leaving, newest first, of a group or of profiles; what came before (at, id)."""
    changes: QuerySet[GroupMembershipChange] = GroupMembershipChange.objects.order_by("-at", "-id")
    if group_id is not None:
        changes = changes.filter(group_id=group_id)
    if profile_ids is not None:
        changes = changes.filter(profile_id__in=list(profile_ids))
    if before is not None:
        at, change_id = before
        changes = changes.filter(Q(at__lt=at) | Q(at=at, id__lt=change_id), at__lte=at)
    return list(changes[:limit])


def list_sizes(group_id: int, *, days: int = 30) -> list[tuple[date, int]]:
    """A group's size at the end of each of the last days, oldest first; days without a record are left out."""
    sizes = GroupSize.objects.filter(group=group_id, day__gt=Now() - timedelta(days=days))
    return list(sizes.order_by("day").values_list("day", "size"))


def groups_of(profile_id: UUID) -> list[Membership]:
    """The groups that a profile is in, by name."""
    return groups_of_many([profile_id]).get(profile_id, [])


def groups_of_many(profile_ids: Iterable[UUID]) -> dict[UUID, list[Membership]]:
    """The groups of several profiles, by name, in one statement."""
    rows = (
        GroupMember.objects.filter(profile_id__in=list(profile_ids))
        .order_by("group__name")
        .values_list("profile_id", "group_id", "group__name", "group__kind", "created_at")
    )
    found: dict[UUID, list[Membership]] = {}
    for profile_id, group_id, name, kind, since in rows:
        found.setdefault(profile_id, []).append(Membership(group_id, name, kind, since))
    return found


def count_moves(*, since: timedelta) -> dict[int, tuple[int, int]]:
    """How many joined and how many left each group lately; groups without moves are left out."""
    recent = GroupMembershipChange.objects.filter(at__gt=Now() - since).values("group_id")
    counted = recent.annotate(joined_count=Count("id", filter=Q(joined=True)), left=Count("id", filter=Q(joined=False)))
    return {group: (joined, left) for group, joined, left in counted.values_list("group_id", "joined_count", "left")}


def progress_of(group_ids: Iterable[int]) -> dict[int, tuple[int, int | None]]:
    """Done and total of the groups that are being recalculated."""
    subjects = [str(group_id) for group_id in group_ids]
    works = Work.objects.filter(kind=KIND, subject__in=subjects, state__in=UNFINISHED)
    return {int(subject): (done, total) for subject, done, total in works.values_list("subject", "done", "total")}
