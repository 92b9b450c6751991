"""Who may evaluate which groups when: the two locks that keep writers of membership from undoing one another's work.

- A batch holds RULES_LOCK (shared) from before it reads which groups are concerned; a recalculation of changed rules
  waits for all such batches before it starts, so none of them can miss the change and commit after it.
- A batch takes the lock (shared) of each concerned group after its profiles are written and before it evaluates.
  Recalculation, sweep and changes by hand take the group's lock exclusively, and read in a statement that begins after.

A group that reads another one is concerned whenever that one is, so whoever locks a group locks all its followers too,
always in the order of their ids. The time at which rules are evaluated is read after the locks, so it is never earlier
than the last sweep's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from groups.definitions import Definition, define_many
from profiles.ruleset import RULES_LOCK

GROUP_LOCK = 0x47520001  # the class of the groups' advisory locks; the object is the group's id

# Each statement of one call has a snapshot of its own, so the second sees what was committed before the lock was won.
_CONCERNED = """
select pg_advisory_xact_lock_shared(%s);
with recursive concerned(id) as (
    select g.id from profile_group g
     where g.kind = 'calculated'
       and (%s or exists (select from group_rule_use u where u.group_id = g.id
                           and (u.rule_id = any(%s) or u.event_type = any(%s) or (u.field = 'updated_at' and %s))))
    union
    select u.group_id from concerned c join group_rule_use u on u.reads_id = c.id
)
select id from concerned order by id
"""
_FOLLOWERS = """
select pg_advisory_xact_lock_shared(%s);
with recursive concerned(id) as (
    select %s::bigint
    union
    select u.group_id from concerned c join group_rule_use u on u.reads_id = c.id
)
select id from concerned order by id
"""
_LOCK_SHARED = """
select pg_advisory_xact_lock_shared(%s, id) from unnest(%s::int[]) as held(id);
select id, rules_version, rules, kind = 'calculated', clock_timestamp() from profile_group
 where id = any(%s) order by id
"""
_LOCK = _LOCK_SHARED.replace("lock_shared(", "lock(")


@dataclass(frozen=True, slots=True)
class Held:
    """Groups whose locks are held until the transaction ends, and the time at which to evaluate them."""

    definitions: list[Definition]
    now: datetime


@dataclass(frozen=True, slots=True)
class Locked:
    """A group that nobody else evaluates until the transaction ends. `followers` read it, directly or not."""

    version: int
    rules: Any
    now: datetime
    followers: list[Definition]


def hold_concerned(
    *, rule_ids: Iterable[int], event_types: Iterable[str], anyone_changed: bool, anyone_created: bool
) -> Held | None:
    """Take the locks that a batch needs for the groups that read what it changed; None when there are none."""
    given: list[Any] = [RULES_LOCK, anyone_created, sorted(rule_ids), sorted(event_types), anyone_changed]
    with connection.cursor() as cursor:
        cursor.execute(_CONCERNED, given)
        rows = _lock(cursor, _LOCK_SHARED, [row[0] for row in cursor.fetchall()])
    return Held(_define(rows), rows[0][4]) if rows else None


def lock(group_id: int) -> Locked | None:
    """Keep everyone else away from a group and its followers until the transaction ends; None if it is gone."""
    with connection.cursor() as cursor:
        cursor.execute(_FOLLOWERS, [RULES_LOCK, group_id])
        rows = _lock(cursor, _LOCK, [row[0] for row in cursor.fetchall()])
    own = next((row for row in rows if row[0] == group_id), None)
    if own is None:
        return None
    return Locked(own[1], _parsed(own[2]), own[4], _define(row for row in rows if row[0] != group_id))


def hold_all() -> None:
    """Keep every group from being recalculated, swept or changed by hand until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock_shared(%s)", [RULES_LOCK])
        cursor.execute(
            "select pg_advisory_xact_lock_shared(%s, id::int) from (select id from profile_group order by id) g",
            [GROUP_LOCK],
        )


def _lock(cursor: Any, statement: str, ids: list[int]) -> list[tuple[Any, ...]]:
    if not ids:
        return []
    cursor.execute(statement, [GROUP_LOCK, ids, ids])
    return list(cursor.fetchall())


def _define(rows: Iterable[tuple[Any, ...]]) -> list[Definition]:
    return define_many((row[0], row[1], _parsed(row[2])) for row in rows if row[3])


def _parsed(rules: Any) -> Any:
    return json.loads(rules) if isinstance(rules, str) else rules
