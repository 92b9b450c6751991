"""Rules, groups and checks that the tests of membership share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from core.accounts import project
from core.accounts.actors import SYSTEM
from core.work.models import UNFINISHED, Work
from groups import definitions
from groups.groups_store import create_group
from groups.models import Group, GroupKind, GroupMember, GroupMembershipChange
from groups.recalculation import recalculate_some
from profiles import ruleset
from profiles.models import Profile, ProfilePropertyRule
from tests.factories import make_rule
from tests.groups import oracle
from tests.groups.strategies import PROPERTIES

UTC_ZONE = ZoneInfo("UTC")


def forget_caches() -> None:
    """Forget what processes keep of rules: after a rollback a version number comes again and means others."""
    project.forget()
    ruleset.forget()
    definitions._cache.found = None


def make_rules(*keys: str) -> dict[str, ProfilePropertyRule]:
    """The strategies' properties as rules, by key."""
    return {key: make_rule(key, PROPERTIES[key][0], is_array=PROPERTIES[key][1]) for key in keys}


def calculated(name: str, *rules: Mapping[str, Any], match: str = "all") -> Group:
    """A calculated group, not yet filled."""
    tree = {"match": match, "rules": list(rules)}
    return create_group(name, kind=GroupKind.CALCULATED, rules=tree, actor=SYSTEM)


def recalculate_all() -> None:
    """Work until nothing waits."""
    while Work.objects.filter(kind="group", state__in=UNFINISHED).exists():
        recalculate_some()
        waiting = Work.objects.filter(kind="group", state__in=UNFINISHED)
        failed = waiting.exclude(error="").values_list("error", flat=True).first()
        assert failed is None, failed


def members(group: Group) -> set[UUID]:
    """Who is in a group."""
    return set(GroupMember.objects.filter(group=group).values_list("profile_id", flat=True))


def expected(group: Group, *, now: datetime, zone: ZoneInfo = UTC_ZONE) -> set[UUID]:
    """Who should be in a group, by plain Python."""
    group.refresh_from_db()
    types = dict(ProfilePropertyRule.objects.values_list("key", "type"))
    return {
        guid
        for guid, person in Profile.objects.filter(merged_into=None).values_list("guid", "properties")
        if oracle.matches(group.rules or {}, person, types, now=now, zone=zone)
    }


def logged(group: Group) -> set[UUID]:
    """Who is in a group by its log alone: every joining and leaving, replayed."""
    inside: set[UUID] = set()
    for change in GroupMembershipChange.objects.filter(group_id=group.pk).order_by("id"):
        assert (change.profile_id in inside) is not change.joined, "joined twice, or left without having joined"
        (inside.add if change.joined else inside.remove)(change.profile_id)
    return inside
