"""Who is in which group. The only writer of `GroupMember`, `GroupMembershipChange` and `GroupSize`.

Four ways lead here: the pipeline refreshes the profiles that it changed, a recalculation goes through all profiles of
one group, a sweep of time re-evaluates those whose dates passed a boundary, and people change manual groups. The locks
of `groups/locks.py` keep them from undoing one another's work. Whoever moves people into or out of a group has the
groups that read it follow in the same transaction, layer by layer, so nobody ever sees them disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.db import connection
from psycopg2 import sql

from core.accounts import project
from core.lib.copying import copy_rows
from groups import locks
from groups.compile import HAPPENED, Scope
from groups.definitions import Definition, event_types, in_order
from groups.models import Group, GroupKind

CHUNK = 5000  # profiles evaluated in one statement

_BY_NUMBER = attrgetter("int")  # the order of UUIDs, without a Python call for each comparison

_FIRST, _LAST = UUID(int=0), UUID(int=(1 << 128) - 1)

# "offset 0" keeps the planner from evaluating every rule a second time for the comparison; "+ 0" from searching the
# primary key once for each group and profile instead of reading each profile's few memberships.
_DIFFER = sql.SQL("""
{happened}select guid, wanted, held from (
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

_LEAVE = """
delete from group_member m using unnest(%s::bigint[], %s::uuid[]) as left_(group_id, profile_id)
 where m.group_id = left_.group_id and m.profile_id = left_.profile_id
returning m.group_id, m.profile_id::text
"""
_JOIN = """
insert into group_member (group_id, profile_id, created_at)
select group_id, profile_id, %s from unnest(%s::bigint[], %s::uuid[]) as joined(group_id, profile_id)
on conflict do nothing
returning group_id, profile_id::text
"""

# A statement of its own, since PostgreSQL shares the work of a SELECT among its workers, and that of a change not.
_FIND = sql.SQL("""
create temporary table matched on commit drop as
select p.guid from profile p where p.guid > %s and p.guid <= %s and p.merged_into is null and {tree};
analyze matched
""")
_RECALCULATE = sql.SQL("""
with gone as (
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
{returning}""")
_ADD = """
with come as (
    insert into group_member (group_id, profile_id, created_at)
    select %s, guid, clock_timestamp() from profile where guid = any(%s::uuid[]) and merged_into is null
     order by guid
    on conflict do nothing
    returning profile_id
)
insert into group_membership_change (group_id, profile_id, joined, cause)
select %s, profile_id, true, %s from come
returning profile_id
"""
_REMOVE = """
with gone as (
    delete from group_member where group_id = %s and (%s or profile_id = any(%s::uuid[])) returning profile_id
)
insert into group_membership_change (group_id, profile_id, joined, cause)
select %s, profile_id, false, %s from gone
returning profile_id
"""

_MERGED = "merge"
_FOLLOW_MERGES = """
with merged(loser, winner) as (select * from unnest(%s::uuid[], %s::uuid[])
), gone as (
    delete from group_member m using merged, profile_group g
     where m.profile_id = merged.loser and g.id = m.group_id and g.kind = 'manual'
    returning m.group_id, merged.loser, merged.winner
), come as (
    insert into group_member (group_id, profile_id, created_at)
    select distinct group_id, winner, clock_timestamp() from gone on conflict do nothing
    returning group_id, profile_id
), told as (
    insert into group_membership_change (group_id, profile_id, joined, cause)
    select group_id, profile_id, true, %s from come union all select group_id, loser, false, %s from gone
)
select g.loser, g.group_id, c.profile_id is not null
  from gone g left join come c on c.group_id = g.group_id and c.profile_id = g.winner
"""

_REPLACE = """
with wanted as materialized (
    select guid from profile where guid = any(%s::uuid[]) and merged_into is null
), gone as (
    delete from group_member m
     where m.group_id = %s and not exists (select from wanted where wanted.guid = m.profile_id)
    returning m.profile_id
), come as (
    insert into group_member (group_id, profile_id, created_at)
    select %s, guid, clock_timestamp() from wanted order by guid
    on conflict do nothing
    returning profile_id
)
insert into group_membership_change (group_id, profile_id, joined, cause)
select %s, profile_id, true, %s from come union all select %s, profile_id, false, %s from gone
returning profile_id, joined
"""


def refresh(
    profile_ids: Sequence[UUID],
    *,
    changed_rules: frozenset[int],
    created: bool,
    happened: Iterable[tuple[str, UUID]] = (),
    cause: str = "profile",
) -> int:
    """Bring memberships up to date for profiles that changed, inside the transaction that wrote them; the moves.

    `happened` are the types and profiles of events stored in this transaction. Only groups that read one of
    `changed_rules` or of these types are evaluated, with those that read them, or all when some profiles were
    `created`. The caller has locked the profiles. A handful of statements, however many profiles and groups there are.
    """
    events = list(happened)
    if not events and not (profile_ids and (created or changed_rules)):
        return 0
    held = locks.hold_concerned(
        rule_ids=changed_rules,
        event_types={type_name for type_name, _ in events},
        anyone_changed=bool(profile_ids),
        anyone_created=created,
    )
    if held is None:
        return 0
    watched = set(event_types(held.definitions))
    concerned = {guid for type_name, guid in events if type_name in watched}
    guids = {*profile_ids, *concerned} if concerned else profile_ids
    return evaluate(held.definitions, sorted(guids, key=_BY_NUMBER), now=held.now, cause=cause)


def evaluate(definitions: Sequence[Definition], profile_ids: Sequence[UUID], *, now: datetime, cause: str) -> int:
    """Evaluate groups for some profiles, write what differs and log it; how many moved. The groups' locks are held.

    One SELECT for all groups, and one more for each layer of groups that read one another.
    """
    layers = in_order(definitions)
    return sum(
        _evaluate(layer, profile_ids[start : start + CHUNK], now=now, cause=cause)
        for start in range(0, len(profile_ids), CHUNK)
        for layer in layers
    )


def recalculate_range(
    definition: Definition,
    followers: Sequence[Definition],
    *,
    after: UUID | None,
    until: UUID | None,
    now: datetime,
    cause: str = "rules",
) -> int:
    """Make a group right for the profiles in (after, until], and its followers for those that moved; the moves.

    None for a bound means from the first, to the last. Members whose profile is gone leave too. The groups' locks are
    held exclusively.
    """
    first, last, group = after or _FIRST, until or _LAST, definition.group_id
    compiled = definition.compiled(Scope.RANGE)
    returning = sql.SQL("returning profile_id" if followers else "")
    with connection.cursor() as cursor:
        cursor.execute(_FIND.format(tree=compiled.sql), [first, last, *compiled.bind(now, after=first, until=last)])
        cursor.execute(
            _RECALCULATE.format(returning=returning),
            [group, first, last, group, now, group, group, cause, group, cause],
        )
        moves: int = cursor.rowcount
        moved = [row[0] for row in cursor.fetchall()] if followers else []
        cursor.execute("drop table matched")
    return moves + evaluate(followers, sorted(moved), now=now, cause=cause_of(definition.group_id))


def add(
    group_id: int, profile_ids: Sequence[UUID], *, followers: Sequence[Definition], now: datetime, cause: str
) -> int:
    """Put profiles into a manual group; how many were not in it. Those that do not exist are passed over.

    The locks of the group and its followers are held.
    """
    guids = _array(guid.hex for guid in profile_ids)
    return _move_by_hand(group_id, _ADD, [group_id, guids, group_id, cause], followers=followers, now=now, cause=cause)


def remove(
    group_id: int, profile_ids: Sequence[UUID] | None, *, followers: Sequence[Definition], now: datetime, cause: str
) -> int:
    """Take profiles, or with None everyone, out of a group; how many were in it. The locks are held."""
    guids = _array(guid.hex for guid in profile_ids or ())
    params = [group_id, profile_ids is None, guids, group_id, cause]
    return _move_by_hand(group_id, _REMOVE, params, followers=followers, now=now, cause=cause)


def follow_merges(waves: Sequence[Sequence[tuple[UUID, UUID]]]) -> dict[str, dict[UUID, list[int]]]:
    """Whoever became part of another leaves their manual groups, which the other joins: {"joined", "left"} by loser.

    `waves` are (loser, winner) in their order, in the transaction that merges them; who wins in a wave may lose in a
    later one. Calculated groups follow by `refresh`.
    """
    rows: list[tuple[UUID, int, bool]] = []
    with connection.cursor() as cursor:
        for pairs in waves:
            losers, winners = [loser for loser, _ in pairs], [winner for _, winner in pairs]
            cursor.execute(_FOLLOW_MERGES, [losers, winners, _MERGED, _MERGED])
            rows += cursor.fetchall()
    moved: dict[str, dict[UUID, list[int]]] = {"joined": {}, "left": {}}
    for loser, group_id, joined in rows:
        moved["left"].setdefault(loser, []).append(group_id)
        if joined:
            moved["joined"].setdefault(loser, []).append(group_id)
    return moved


def follow_undone(*, winner: UUID, loser: UUID, joined: Sequence[int], left: Sequence[int], now: datetime) -> None:
    """Put two profiles that are two again back into the manual groups they were in."""
    there = Group.objects.filter(pk__in=left, kind=GroupKind.MANUAL).values_list("pk", flat=True)
    _move(
        joined=[(group_id, str(loser)) for group_id in there],
        left=[(group_id, str(winner)) for group_id in joined],
        now=now,
        cause=_MERGED,
    )


def forget_changes(profile_ids: Sequence[UUID], *, limit: int) -> int:
    """Delete some of the log of joining and leaving of people who are being erased; how many rows."""
    with connection.cursor() as cursor:
        cursor.execute(
            "delete from group_membership_change c using (select id, at from group_membership_change"
            " where profile_id = any(%s) limit %s) gone where c.id = gone.id and c.at = gone.at",
            [list(profile_ids), limit],
        )
        return int(cursor.rowcount)


def forget(profile_ids: Sequence[UUID]) -> int:
    """Take people who are being erased out of every group, untold; how many memberships.

    In the transaction that deletes their profiles, which holds all groups, so that nobody puts them back.
    """
    with connection.cursor() as cursor:
        cursor.execute("delete from group_member where profile_id = any(%s)", [list(profile_ids)])
        return int(cursor.rowcount)


def cause_of(group_id: int) -> str:
    """The cause of moves that follow those of another group."""
    return f"group:{group_id}"


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


def replace(
    group_id: int, profile_ids: Sequence[UUID], *, followers: Sequence[Definition], now: datetime, cause: str
) -> tuple[int, int]:
    """Make these profiles, and nobody else, the members of a manual group: how many joined and left. Locks are held."""
    guids = _array(guid.hex for guid in profile_ids)
    with connection.cursor() as cursor:
        cursor.execute(_REPLACE, [guids, group_id, group_id, group_id, cause, group_id, cause])
        moved = cursor.fetchall()
    evaluate(followers, sorted(row[0] for row in moved), now=now, cause=cause_of(group_id))
    joined = sum(row[1] for row in moved)
    return joined, len(moved) - joined


def _evaluate(layer: Sequence[Definition], profile_ids: Sequence[UUID], *, now: datetime, cause: str) -> int:
    if not layer or not profile_ids:
        return 0
    guids = _array(guid.hex for guid in profile_ids)
    types = event_types(layer)
    params: list[Any] = [guids, types] if types else []
    answers = []
    for each in layer:
        compiled = each.compiled(Scope.BATCH)
        answers.append(_ANSWER.format(tree=compiled.sql, group=sql.Literal(each.group_id)))
        params += compiled.bind(now, ids=guids)
    statement = _DIFFER.format(happened=sql.SQL(HAPPENED if types else ""), answers=sql.SQL(", ").join(answers))
    with connection.cursor() as cursor:
        cursor.execute(statement, [*params, [each.group_id for each in layer], guids])
        differing = cursor.fetchall()
    joined = sorted((group, guid) for guid, wanted, held in differing for group in set(wanted) - set(held))
    left = sorted((group, guid) for guid, wanted, held in differing for group in set(held) - set(wanted))
    return _move(joined=joined, left=left, now=now, cause=cause)


def _move_by_hand(
    group_id: int, statement: str, params: Sequence[Any], *, followers: Sequence[Definition], now: datetime, cause: str
) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        moved = [row[0] for row in cursor.fetchall()]
    evaluate(followers, sorted(moved), now=now, cause=cause_of(group_id))
    return len(moved)


def _move(*, joined: Sequence[tuple[int, str]], left: Sequence[tuple[int, str]], now: datetime, cause: str) -> int:
    """Write moves and log those that were any, by COPY: the log has four indexes, and is filled page after page."""
    moved: list[tuple[int, str, bool, str]] = []
    with connection.cursor() as cursor:
        if left:
            cursor.execute(_LEAVE, _columns(left))
            moved += [(group_id, profile_id, False, cause) for group_id, profile_id in cursor.fetchall()]
        if joined:
            cursor.execute(_JOIN, [now, *_columns(joined)])
            moved += [(group_id, profile_id, True, cause) for group_id, profile_id in cursor.fetchall()]
        copy_rows(cursor, "group_membership_change", ("group_id", "profile_id", "joined", "cause"), moved)
    return len(moved)


def _columns(pairs: Sequence[tuple[int, str]]) -> tuple[str, str]:
    return _array(group for group, _ in pairs), _array(profile for _, profile in pairs)


def _array(values: Iterable[object]) -> str:
    """PostgreSQL's text of an array: far shorter and quicker to read than a list of casts."""
    return "{" + ",".join(map(str, values)) + "}"
