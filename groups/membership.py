"""Who is in which group. The only writer of `GroupMember`, `GroupMembershipChange` and `GroupSize`.

Three ways lead here: the pipeline refreshes the profiles that it changed, a recalculation goes through all profiles of
one group, and a sweep of time re-evaluates those whose dates passed a boundary. Two locks keep them from undoing one
another's work:

- A batch holds RULES_LOCK (shared) from before it reads which groups are concerned; a recalculation of changed rules
  waits for all such batches before it starts, so none of them can miss the change and commit after it.
- A batch takes each concerned group's lock (shared) after its profiles are written and before it evaluates;
  recalculation and sweep take it exclusively for each slice, and read profiles in a statement that begins after that.

The time at which rules are evaluated is read after the lock too, so it is never earlier than the last sweep's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from psycopg2 import sql

from core.accounts import project
from groups.definitions import Definition, define_many
from profiles.ruleset import RULES_LOCK

GROUP_LOCK = 0x47520001  # the class of the groups' advisory locks; the object is the group's id

_FIRST, _LAST = UUID(int=0), UUID(int=(1 << 128) - 1)

# Each statement of one call has a snapshot of its own, so the second sees what was committed before the lock was won.
_CONCERNED = """
select pg_advisory_xact_lock_shared(%s);
select g.id from profile_group g
 where g.kind = 'calculated'
   and (%s or exists (select from group_rule_use u where u.group_id = g.id and u.rule_id = any(%s)))
 order by g.id
"""
_LOCK_SHARED = """
select pg_advisory_xact_lock_shared(%s, id) from unnest(%s::int[]) as held(id);
select id, rules_version, rules, clock_timestamp() from profile_group where id = any(%s) order by id
"""
_LOCK = """
select pg_advisory_xact_lock(%s, %s);
select rules_version, rules, clock_timestamp() from profile_group where id = %s and kind = 'calculated'
"""

# "offset 0" keeps the planner from evaluating every rule a second time for the comparison; "+ 0" from searching the
# primary key once for each group and profile instead of reading each profile's few memberships.
_DIFFER = sql.SQL("""
select guid, wanted, held from (
    select p.guid::text as guid,
           array_remove(array[{answers}]::bigint[], null) as wanted,
           array(select m.group_id from group_member m
                  where m.profile_id = p.guid and m.group_id + 0 = any(%s) order by m.group_id) as held
      from profile p
     where p.guid = any(%s::uuid[])
    offset 0
) as answered
 where wanted <> held
""")
_ANSWER = sql.SQL("case when p.merged_into is null and {tree} then {group} end")

_MOVE = """
with gone as (
    delete from group_member m using unnest(%s::bigint[], %s::uuid[]) as left_(group_id, profile_id)
     where m.group_id = left_.group_id and m.profile_id = left_.profile_id
    returning m.group_id, m.profile_id
), come as (
    insert into group_member (group_id, profile_id, created_at)
    select group_id, profile_id, %s from unnest(%s::bigint[], %s::uuid[]) as joined(group_id, profile_id)
    on conflict do nothing
    returning group_id, profile_id
)
insert into group_membership_change (group_id, profile_id, joined, cause)
select group_id, profile_id, true, %s from come union all select group_id, profile_id, false, %s from gone
"""

_RECALCULATE = sql.SQL("""
with matched as materialized (
    select p.guid from profile p
     where p.guid > %s and p.guid <= %s and p.merged_into is null and {tree}
), gone as (
    delete from group_member m
     where m.group_id = %s and m.profile_id > %s and m.profile_id <= %s
       and not exists (select from matched where matched.guid = m.profile_id)
    returning m.profile_id
), come as (
    insert into group_member (group_id, profile_id, created_at)
    select %s, guid, %s from matched
     where not exists (select from group_member m where m.group_id = %s and m.profile_id = matched.guid)
     order by guid
    on conflict do nothing
    returning profile_id
)
insert into group_membership_change (group_id, profile_id, joined, cause)
select %s, profile_id, true, %s from come union all select %s, profile_id, false, %s from gone
""")


def refresh(
    profile_ids: Sequence[UUID], *, changed_rules: frozenset[int], created: bool, cause: str = "profile"
) -> int:
    """Bring these profiles' memberships up to date, inside the transaction that wrote them; returns the moves.

    Only groups that read one of `changed_rules` are evaluated, or all when some profiles were `created`. The caller
    has locked the profiles. Five statements at most, however many profiles and groups there are.
    """
    if not profile_ids or not (created or changed_rules):
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_CONCERNED, [RULES_LOCK, created, sorted(changed_rules)])
        ids = [row[0] for row in cursor.fetchall()]
        if not ids:
            return 0
        cursor.execute(_LOCK_SHARED, [GROUP_LOCK, ids, ids])
        rows = cursor.fetchall()
    if not rows:
        return 0
    definitions = define_many((group_id, version, _parsed(rules)) for group_id, version, rules, _ in rows)
    return evaluate(definitions, profile_ids, now=rows[0][3], cause=cause)


def lock(group_id: int) -> tuple[int, Any, datetime] | None:
    """Keep every batch away from a group until the transaction ends: (version, rules, now), None if it is gone."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [GROUP_LOCK, group_id, group_id])
        row = cursor.fetchone()
    return None if row is None else (row[0], _parsed(row[1]), row[2])


def evaluate(definitions: Sequence[Definition], profile_ids: Sequence[UUID], *, now: datetime, cause: str) -> int:
    """Evaluate groups for a batch in one SELECT, write what differs and log it; the groups' locks are held."""
    if not definitions or not profile_ids:
        return 0
    answers = [
        _ANSWER.format(tree=each.compiled.sql, group=sql.Literal(each.group_id))
        for each in sorted(definitions, key=lambda each: each.group_id)
    ]
    params: list[Any] = []
    for each in sorted(definitions, key=lambda each: each.group_id):
        params += each.compiled.bind(now)
    with connection.cursor() as cursor:
        cursor.execute(
            _DIFFER.format(answers=sql.SQL(", ").join(answers)),
            [*params, [each.group_id for each in definitions], _array(guid.hex for guid in profile_ids)],
        )
        differing = cursor.fetchall()
    joined = sorted((group, guid) for guid, wanted, held in differing for group in set(wanted) - set(held))
    left = sorted((group, guid) for guid, wanted, held in differing for group in set(held) - set(wanted))
    return _move(joined=joined, left=left, now=now, cause=cause)


def recalculate_range(
    definition: Definition, *, after: UUID | None, until: UUID | None, now: datetime, cause: str = "rules"
) -> int:
    """Make a group right for the profiles in (after, until], in one statement; the group's lock is held exclusively.

    None for a bound means from the first, to the last. Members whose profile is gone leave too.
    """
    first, last, group = after or _FIRST, until or _LAST, definition.group_id
    params = [first, last, *definition.compiled.bind(now), group, first, last, group, now, group]
    with connection.cursor() as cursor:
        cursor.execute(_RECALCULATE.format(tree=definition.compiled.sql), [*params, group, cause, group, cause])
        moves: int = cursor.rowcount
    return moves


def add(group_id: int, profile_ids: Sequence[UUID], *, cause: str) -> int:
    """Put profiles into a manual group; how many were not in it. Those that do not exist are passed over."""
    with connection.cursor() as cursor:
        cursor.execute(
            "with come as (insert into group_member (group_id, profile_id, created_at)"
            " select %s, guid, clock_timestamp() from profile where guid = any(%s::uuid[]) and merged_into is null"
            " order by guid on conflict do nothing returning profile_id)"
            " insert into group_membership_change (group_id, profile_id, joined, cause)"
            " select %s, profile_id, true, %s from come",
            [group_id, _array(guid.hex for guid in profile_ids), group_id, cause],
        )
        moves: int = cursor.rowcount
    return moves


def remove(group_id: int, profile_ids: Sequence[UUID] | None, *, cause: str) -> int:
    """Take profiles, or with None everyone, out of a group; how many were in it."""
    chosen = sql.SQL("" if profile_ids is None else " and profile_id = any(%s::uuid[])")
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "with gone as (delete from group_member where group_id = %s{} returning profile_id)"
                " insert into group_membership_change (group_id, profile_id, joined, cause)"
                " select %s, profile_id, false, %s from gone"
            ).format(chosen),
            [group_id, *([] if profile_ids is None else [_array(guid.hex for guid in profile_ids)]), group_id, cause],
        )
        moves: int = cursor.rowcount
    return moves


def record_sizes(*, group_id: int | None = None) -> None:
    """Write down how many members every group, or one, has now, as today's size (the project's today)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into group_size (group_id, day, size)"
            " select g.id, (clock_timestamp() at time zone %s)::date,"
            "        (select count(*) from group_member m where m.group_id = g.id)"
            "   from profile_group g where %s or g.id = %s order by g.id"
            " on conflict (group_id, day) do update set size = excluded.size"
            "  where group_size.size <> excluded.size",
            [str(project.current().time_zone), group_id is None, group_id],
        )


def _move(*, joined: Sequence[tuple[int, str]], left: Sequence[tuple[int, str]], now: datetime, cause: str) -> int:
    if not joined and not left:
        return 0
    left_groups, left_profiles = _columns(left)
    joined_groups, joined_profiles = _columns(joined)
    with connection.cursor() as cursor:
        cursor.execute(_MOVE, [left_groups, left_profiles, now, joined_groups, joined_profiles, cause, cause])
        moves: int = cursor.rowcount
    return moves


def _columns(pairs: Sequence[tuple[int, str]]) -> tuple[str, str]:
    return _array(group for group, _ in pairs), _array(profile for _, profile in pairs)


def _array(values: Iterable[object]) -> str:
    """PostgreSQL's text of an array: far shorter and quicker to read than a list of casts."""
    return "{" + ",".join(map(str, values)) + "}"


def _parsed(rules: Any) -> Any:
    return json.loads(rules) if isinstance(rules, str) else rules
