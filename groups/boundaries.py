"""Time alone changes membership: finds the profiles whose dates passed a moving boundary, and evaluates just these.

Every relative leaf compares a date with boundaries that move with now: the date of a property, of the profile itself,
or of what someone did. Between two sweeps its answer can change only for dates in (boundary then, boundary now], so
these profiles, and nothing else, are evaluated, whatever the tree. Up to when a leaf was swept is kept with it and
moved in the same transaction: after a pause the interval is only longer.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F

from groups import locks, membership
from groups.definitions import Definition, define, define_many
from groups.models import Group, GroupRuleUse
from groups.tree import AnyLeaf, EventLeaf, Leaf
from profiles.models import LAST_CHANGE


class _Interval(NamedTuple):
    """Where a boundary moved: `rule_id` for dates in ProfileDate, `event_type` for events, neither for created_at."""

    group_id: int
    rule_id: int | None
    event_type: str | None
    after: datetime
    until: datetime


_INTERVALS = (
    "unnest(%s::bigint[], %s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[])"
    " as i(group_id, rule_id, event_type, after, until)"
)
_PASSED = f"""
select distinct i.group_id from {_INTERVALS}
 where case
    when i.rule_id is not null then
        exists (select from profile_date d where d.rule_id = i.rule_id and d.at > i.after and d.at <= i.until)
    when i.event_type is not null then
        exists (select from event e
                 where e.type = i.event_type and e.occurred_at > i.after and e.occurred_at <= i.until)
    else exists (select from profile p where p.created_at > i.after and p.created_at <= i.until) end
 order by 1
"""
_CANDIDATES = f"""
with i as materialized (select * from {_INTERVALS})
select d.profile_id from i join profile_date d on d.rule_id = i.rule_id and d.at > i.after and d.at <= i.until
union
select coalesce(t.merged_into, e.profile_id) from i
  join event e on e.type = i.event_type and e.occurred_at > i.after and e.occurred_at <= i.until
  left join profile t on t.guid = e.profile_id
 where e.profile_id is not null
union
select p.guid from i join profile p on p.created_at > i.after and p.created_at <= i.until
 where i.rule_id is null and i.event_type is null
order by 1
"""


def sweep() -> int:
    """Move time on for every group with relative leaves; how many profiles joined or left.

    Groups in which no date passed a boundary cost nothing but their share of one look at indexes. Groups that are
    being recalculated are left alone: that work evaluates everyone at a later time than their leaves were swept.
    """
    return sum(sweep_group(group_id) for group_id in _passed_groups())


def sweep_group(group_id: int) -> int:
    """Move time on for one group, away from every batch that concerns it; how many profiles joined or left it."""
    with transaction.atomic():
        locked = locks.lock(group_id)
        if locked is None:
            return 0
        definition = define(group_id, locked.version, locked.rules)
        profile_ids = _candidates(_intervals(definition, _swept(group_id), locked.now))
        groups = [definition, *locked.followers]
        moves = membership.evaluate(groups, profile_ids, now=locked.now, cause="time")
        GroupRuleUse.objects.filter(group_id=group_id, swept_until__lt=locked.now).update(swept_until=locked.now)
    return moves


def _passed_groups() -> list[int]:
    """Groups for which some date passed a boundary since their last sweep, without any lock."""
    uses = GroupRuleUse.objects.filter(swept_until__isnull=False, group__calculated_version=F("group__rules_version"))
    swept: dict[int, dict[str, datetime]] = {}
    for use in uses:
        if use.swept_until:
            swept.setdefault(use.group_id, {})[use.leaf] = use.swept_until
    if not swept:
        return []
    with connection.cursor() as cursor:
        cursor.execute("select clock_timestamp()")
        now = cursor.fetchone()[0]
    rows = Group.objects.filter(pk__in=swept).values_list("id", "rules_version", "rules")
    intervals = [
        interval
        for definition in define_many(rows)
        for interval in _intervals(definition, swept[definition.group_id], now)
    ]
    return _find(_PASSED, intervals)


def _swept(group_id: int) -> dict[str, datetime]:
    uses = GroupRuleUse.objects.filter(group_id=group_id, swept_until__isnull=False)
    return {use.leaf: use.swept_until for use in uses if use.swept_until}


def _intervals(definition: Definition, swept: dict[str, datetime], now: datetime) -> list[_Interval]:
    """Where each boundary of each relative leaf moved since the leaf was swept."""
    found = []
    for leaf in definition.node.leaves():
        since = swept.get(leaf.path)
        if since is None:
            continue
        for boundary in leaf.boundaries:
            after, until = boundary.at(since, definition.zone), boundary.at(now, definition.zone)
            if after < until:
                found.append(_Interval(definition.group_id, *_dates(leaf), after, until))
    return found


def _dates(leaf: AnyLeaf) -> tuple[int | None, str | None]:
    """Where the dates of a relative leaf stand, as in _Interval."""
    if isinstance(leaf, EventLeaf):
        return None, leaf.type
    if isinstance(leaf, Leaf) and leaf.rule_id is not None:
        return leaf.rule_id, None
    return (LAST_CHANGE if isinstance(leaf, Leaf) and leaf.key == "updated_at" else None), None


def _candidates(intervals: Iterable[_Interval]) -> list[UUID]:
    return _find(_CANDIDATES, intervals)


def _find(statement: str, intervals: Iterable[_Interval]) -> list[Any]:
    columns = [list(column) for column in zip(*intervals, strict=True)] or [[], [], [], [], []]
    with connection.cursor() as cursor:
        cursor.execute(statement, columns)
        return [row[0] for row in cursor.fetchall()]
