"""Time alone changes membership: finds the profiles whose dates passed a moving boundary, and evaluates just these.

Every relative leaf compares a date with boundaries that move with now. Between two sweeps its answer can change only
for dates in (boundary then, boundary now], so these profiles, and nothing else, are evaluated, whatever the tree. Up to
when a leaf was swept is kept with it and moved in the same transaction: after a pause the interval is only longer.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F

from groups import membership
from groups.compile import boundaries
from groups.definitions import Definition, define, define_many
from groups.models import Group, GroupRuleUse

CHUNK = 5000  # profiles evaluated in one statement
_Interval = tuple[int, datetime, datetime]  # rule, after, up to

_PASSED = """
select distinct i.group_id
  from unnest(%s::bigint[], %s::bigint[], %s::timestamptz[], %s::timestamptz[]) as i(group_id, rule_id, after, until)
 where exists (select from profile_date d where d.rule_id = i.rule_id and d.at > i.after and d.at <= i.until)
 order by 1
"""
_CANDIDATES = """
select distinct d.profile_id
  from unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[]) as i(rule_id, after, until)
  join profile_date d on d.rule_id = i.rule_id and d.at > i.after and d.at <= i.until
 order by 1
"""


def sweep() -> int:
    """Move time on for every group with relative leaves; how many profiles joined or left.

    Groups in which no date passed a boundary cost nothing but their share of one look at an index. Groups that are
    being recalculated are left alone: that work evaluates everyone at a later time than their leaves were swept.
    """
    return sum(sweep_group(group_id) for group_id in _passed_groups())


def sweep_group(group_id: int) -> int:
    """Move time on for one group, away from every batch that concerns it; how many profiles joined or left."""
    with transaction.atomic():
        locked = membership.lock(group_id)
        if locked is None:
            return 0
        version, rules, now = locked
        definition = define(group_id, version, rules)
        profile_ids = _candidates(_intervals(definition, _swept(group_id), now))
        moves = sum(
            membership.evaluate([definition], profile_ids[start : start + CHUNK], now=now, cause="time")
            for start in range(0, len(profile_ids), CHUNK)
        )
        GroupRuleUse.objects.filter(group_id=group_id, swept_until__lt=now).update(swept_until=now)
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
        (definition.group_id, *interval)
        for definition in define_many(rows)
        for interval in _intervals(definition, swept[definition.group_id], now)
    ]
    with connection.cursor() as cursor:
        cursor.execute(_PASSED, [list(column) for column in zip(*intervals, strict=True)] or [[], [], [], []])
        return [row[0] for row in cursor.fetchall()]


def _swept(group_id: int) -> dict[str, datetime]:
    uses = GroupRuleUse.objects.filter(group_id=group_id, swept_until__isnull=False)
    return {use.leaf: use.swept_until for use in uses if use.swept_until}


def _intervals(definition: Definition, swept: dict[str, datetime], now: datetime) -> list[_Interval]:
    """Where each boundary of each relative leaf moved since the leaf was swept."""
    zone = definition.compiled.zone
    found = []
    for leaf in definition.node.leaves():
        since = swept.get(leaf.path)
        if since is not None:
            for boundary in boundaries(leaf):
                after, until = boundary.at(since, zone), boundary.at(now, zone)
                if after < until:
                    found.append((leaf.rule_id, after, until))
    return found


def _candidates(intervals: Iterable[_Interval]) -> list[UUID]:
    columns = [list(column) for column in zip(*intervals, strict=True)] or [[], [], []]
    with connection.cursor() as cursor:
        cursor.execute(_CANDIDATES, columns)
        return [row[0] for row in cursor.fetchall()]
