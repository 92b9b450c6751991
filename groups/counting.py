"""How many people rules would take, before anyone saves them. Reads only.

`stream` answers in three steps, the quickest first: an estimate from some thousand people, the exact count, and then
every number: one statement goes through all profiles, however many rules there are, and evaluates each rule once for
each person. A page waits for it, so whoever asks more than can be counted in `LIMIT_MS` is told so, and whoever asks
anew for the same draft has the statement that runs for the older question cancelled.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import OperationalError, connection, transaction
from django.utils.translation import gettext
from psycopg2 import sql

from core.accounts import project
from core.lib.errors import InvalidInput, Refused
from groups.compile import HAPPENED, Scope, compile_leaf, compile_tree
from groups.groups_store import check_rules
from groups.sentence import say_leaf, say_node, say_tree
from groups.tree import AnyLeaf, Leaf, Node
from profiles.queries import FEW, about_everyone

LIMIT_MS = 5_000
SAMPLE = 10
_SAMPLED = 4_000
_SAMPLED_FOR_EVENTS = 1_000  # what each of them did is looked up in every week that is kept
_CANCELED = "57014"  # PostgreSQL's code for a statement that ran into its time limit, or that was cancelled
_DRAFT = re.compile(r"[A-Za-z0-9_-]{8,40}")
# What reads events or members keeps a table of people in memory, whichever way the planner takes.
_SETTINGS = "set local work_mem = '256MB'; set local jit = off; select clock_timestamp()"


@dataclass(frozen=True, slots=True)
class Estimated:
    """About how many match, from a sample of people."""

    matching: int
    everyone: int


@dataclass(frozen=True, slots=True)
class Matched:
    """Exactly how many match."""

    matching: int
    everyone: int
    seconds: float


@dataclass(frozen=True, slots=True)
class LeafCount:
    """One rule: how many it takes alone.

    `without_value` have no value of its property, known for negative rules alone, which take them unless they are left
    out; `takes_without_value` says whether `alone` counts them.
    """

    path: str
    sentence: str
    alone: int
    without_value: int | None
    takes_without_value: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One of the rules or nodes at the top: how many the tree takes with it and those before it."""

    path: str
    sentence: str
    people: int


@dataclass(frozen=True, slots=True)
class Counted:
    """What rules would take now. `sample` are up to ten of them; `seconds` is how long counting took."""

    sentence: str
    everyone: int
    matching: int
    leaves: tuple[LeafCount, ...]
    funnel: tuple[Step, ...]
    sample: tuple[UUID, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class _Tally:
    """People who answer the rules in one way (by path), and how many of these lack the value that a rule asks for."""

    answers: dict[str, bool]
    people: int
    lacking: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Sample:
    """Some people, and those of them that match."""

    people: int
    matching: tuple[UUID, ...]


def count(rules: Any, *, sample: int = SAMPLE, limit_ms: int = LIMIT_MS) -> Counted:
    """Count a draft, JSON as in `groups/reading.py`.

    Raises InvalidInput as saving would, Refused when it takes too long.
    """
    node, began = check_rules(rules), time.monotonic()
    with _within(limit_ms) as cursor:
        now = _prepare(cursor)
        some = _look_at_some(cursor, node, about_everyone(), now=now)
        return _count(cursor, node, some, now=now, sample=sample, began=began)


def stream(rules: Any, *, draft: str, limit_ms: int = LIMIT_MS) -> Iterator[Estimated | Matched | Counted]:
    """Count a draft step by step; each step's transaction has ended when it is given.

    `draft` names the draft: a newer count of the same name cancels this one, which ends without a further step.
    Raises as `count` does, InvalidInput at once.
    """
    if not _DRAFT.fullmatch(draft):
        raise InvalidInput(
            gettext("A draft is named by 8 to 40 letters and digits."), {"draft": gettext("Give the draft a name.")}
        )
    return _stream(check_rules(rules), f"count {draft}", limit_ms)


def _stream(node: Node, name: str, limit_ms: int) -> Iterator[Estimated | Matched | Counted]:
    began = time.monotonic()
    _cancel(name)
    try:
        with _within(limit_ms, name=name) as cursor:
            now = _prepare(cursor)
            everyone = about_everyone()
            some = _look_at_some(cursor, node, everyone, now=now)
        if everyone > FEW:
            yield Estimated(round(everyone * len(some.matching) / max(1, some.people)), everyone)
        if everyone > FEW and not node.event_types:  # finding who did something costs so much that it is done once
            with _within(limit_ms, name=name) as cursor:
                now = _prepare(cursor)
                matching, everyone = _match(cursor, node, now=now)
            yield Matched(matching, everyone, time.monotonic() - began)
        with _within(limit_ms, name=name) as cursor:
            now = _prepare(cursor)
            counted = _count(cursor, node, some, now=now, sample=SAMPLE, began=began)
        yield counted
    except _Superseded:
        return


class _Superseded(Exception):
    """Somebody asked anew for the same draft."""


@contextmanager
def _within(limit_ms: int, *, name: str = "") -> Iterator[Any]:
    """A cursor whose statements may take so long, each; they can be cancelled by name."""
    began = time.monotonic()
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("select set_config('statement_timeout', %s, true)", [str(limit_ms)])
            if name:
                cursor.execute("select set_config('application_name', %s, true)", [name])
            yield cursor
            cursor.execute("set local statement_timeout = 0")  # the caller's transaction goes on without it
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", None) != _CANCELED:
            raise
        if name and time.monotonic() - began < limit_ms / 1000:
            raise _Superseded from error
        raise Refused(
            gettext(
                "Counting took longer than %(seconds)s seconds and was given up. The rules can be "
                "saved all the same; their members are then found in the background."
            )
            % {"seconds": f"{limit_ms / 1000:g}"}
        ) from error


def _cancel(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "select pg_cancel_backend(pid) from pg_stat_activity where application_name = %s and state = 'active'"
            " and datname = current_database() and usename = current_user and pid <> pg_backend_pid()",
            [name],
        )


def _prepare(cursor: Any) -> datetime:
    """The settings of a count; the time at which rules are evaluated."""
    cursor.execute(_SETTINGS)
    now: datetime = cursor.fetchone()[0]
    return now


def _look_at_some(cursor: Any, node: Node, everyone: int, *, now: datetime) -> _Sample:
    """A sample of whole pages of the table, and which of these people match."""
    wanted = _SAMPLED_FOR_EVENTS if node.event_types else _SAMPLED
    share = min(100.0, 100.0 * wanted / max(1, everyone))
    cursor.execute(
        "select guid::text from profile tablesample system (%s) where merged_into is null limit %s",
        [share, 2 * wanted],
    )
    guids = "{" + ",".join(row[0] for row in cursor.fetchall()) + "}"
    compiled = compile_tree(node, project.current().time_zone, scope=Scope.BATCH)
    types = sorted(node.event_types)
    cursor.execute(
        sql.SQL("{}select p.guid, {} from profile p where p.guid = any(%s::uuid[])").format(
            sql.SQL(HAPPENED if types else ""), compiled.sql
        ),
        [*([guids, types] if types else []), *compiled.bind(now, ids=guids), guids],
    )
    found = cursor.fetchall()
    return _Sample(len(found), tuple(guid for guid, matches in found if matches))


def _match(cursor: Any, node: Node, *, now: datetime) -> tuple[int, int]:
    """How many match, and how many there are."""
    compiled = compile_tree(node, project.current().time_zone)
    statement = sql.SQL("select count(*) filter (where {}), count(*) from profile p where p.merged_into is null")
    cursor.execute(statement.format(compiled.sql), compiled.bind(now))
    matching, everyone = cursor.fetchone()
    return matching, everyone


def _count(cursor: Any, node: Node, some: _Sample, *, now: datetime, sample: int, began: float) -> Counted:
    zone, leaves = project.current().time_zone, tuple(node.leaves())
    tallies = _tally(cursor, leaves, zone=zone, now=now)
    matching = _sum(tallies, node)
    people = some.matching[:sample]
    if len(people) < min(sample, matching):
        people = _find(cursor, node, zone=zone, now=now, limit=sample)
    return Counted(
        sentence=say_tree(node),
        everyone=sum(tally.people for tally in tallies),
        matching=matching,
        leaves=tuple(_count_leaf(leaf, tallies) for leaf in leaves),
        funnel=tuple(_steps(node, tallies)),
        sample=tuple(sorted(people, reverse=True)),
        seconds=time.monotonic() - began,
    )


def _tally(cursor: Any, leaves: Sequence[AnyLeaf], *, zone: ZoneInfo, now: datetime) -> list[_Tally]:
    """People grouped by their answers. The columns are plain booleans, since PostgreSQL then expects few groups and
    shares the work among its workers. Looking for missing values costs as much as a rule, so only some are."""
    compiled = [compile_leaf(leaf, zone) for leaf in leaves]
    negative = [leaf for leaf in leaves if isinstance(leaf, Leaf) and leaf.operator.is_negative and leaf.rule_id]
    lacking = ["count(*) filter (where p.properties -> %s is null)"] * len(negative)
    columns = [*(each.text for each in compiled), "count(*)", *lacking]
    by = ", ".join(str(place + 1) for place in range(len(compiled)))
    statement = f"select {', '.join(columns)} from profile p where p.merged_into is null group by {by}"
    params = [param for each in compiled for param in each.bind(now)] + [leaf.key for leaf in negative]
    cursor.execute(sql.SQL(statement), params)
    paths, width = [leaf.path for leaf in leaves], len(leaves)
    return [
        _Tally(
            answers=dict(zip(paths, row[:width], strict=True)),
            people=row[width],
            lacking={leaf.path: lack for leaf, lack in zip(negative, row[width + 1 :], strict=True)},
        )
        for row in cursor.fetchall()
    ]


def _find(cursor: Any, node: Node, *, zone: ZoneInfo, now: datetime, limit: int) -> tuple[UUID, ...]:
    """Some who match: those found first, since finding the newest would mean sorting all."""
    compiled = compile_tree(node, zone)
    statement = sql.SQL("select p.guid from profile p where p.merged_into is null and {} limit %s")
    cursor.execute(statement.format(compiled.sql), [*compiled.bind(now), limit])
    return tuple(row[0] for row in cursor.fetchall())


def _count_leaf(leaf: AnyLeaf, tallies: Sequence[_Tally]) -> LeafCount:
    lacking = [tally.lacking[leaf.path] for tally in tallies if leaf.path in tally.lacking]
    return LeafCount(
        path=leaf.path,
        sentence=say_leaf(leaf),
        alone=sum(tally.people for tally in tallies if tally.answers[leaf.path]),
        without_value=sum(lacking) if lacking else None,
        takes_without_value=isinstance(leaf, Leaf) and leaf.operator.is_negative and leaf.include_null,
    )


def _steps(node: Node, tallies: Sequence[_Tally]) -> Iterator[Step]:
    for place, child in enumerate(node.children):
        so_far = Node(node.match, node.children[: place + 1])
        yield Step(child.path, say_node(child), _sum(tallies, so_far))


def _sum(tallies: Sequence[_Tally], node: Node) -> int:
    return sum(tally.people for tally in tallies if node.holds(tally.answers))
