"""How many people rules would take, before anyone saves them. Reads only.

One statement goes through all profiles, however many rules there are, and evaluates each rule once for each person. A
page waits for it, so it may not take long: whoever asks more than can be counted in `LIMIT_MS` is told so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import OperationalError, connection, transaction
from psycopg2 import sql

from core.accounts import project
from core.lib.errors import Refused
from groups.compile import Compiled, compile_leaf, compile_tree
from groups.sentence import say_leaf, say_tree
from groups.tree import Leaf, Node, read_tree
from profiles import ruleset

LIMIT_MS = 5_000
SAMPLE = 10
_CANCELED = "57014"  # PostgreSQL's code for a statement that ran into its time limit


@dataclass(frozen=True, slots=True)
class LeafCount:
    """One rule: how many it takes alone; how many are left after it and those before, where all have to match.

    `without_value` have no value of its property, known for negative rules alone, which take them unless they are left
    out; `takes_without_value` says whether `alone` counts them.
    """

    path: str
    sentence: str
    alone: int
    left: int | None
    without_value: int | None
    takes_without_value: bool


@dataclass(frozen=True, slots=True)
class Counted:
    """What rules would take now. `sample` are ten of them, the newest first; `seconds` is how long counting took."""

    sentence: str
    everyone: int
    matching: int
    leaves: tuple[LeafCount, ...]
    sample: tuple[UUID, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class _Tally:
    """How many people answer the rules in one way, and how many of these lack the value that a rule asks for."""

    answers: tuple[bool, ...]
    people: int
    lacking: tuple[int, ...]


def count(rules: Any, *, sample: int = SAMPLE, limit_ms: int = LIMIT_MS) -> Counted:
    """Count a draft, JSON as in `groups/tree.py`. Raises InvalidInput as saving would, Refused when it takes long."""
    settings = project.current()
    node = read_tree(rules, by_key=ruleset.load().by_key, region=settings.phone_region)
    leaves = tuple(node.leaves())
    began = time.monotonic()
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("select set_config('statement_timeout', %s, true), clock_timestamp()", [str(limit_ms)])
            now = cursor.fetchone()[1]
            tallies = _tally(cursor, leaves, zone=settings.time_zone, now=now)
            places = {leaf.path: place for place, leaf in enumerate(leaves)}
            matching = _sum(tallies, lambda tally: _holds(node, tally, places))
            compiled = compile_tree(node, settings.time_zone)
            found = _sample(cursor, compiled, now=now, limit=sample) if matching and sample else ()
            cursor.execute("set local statement_timeout = 0")  # the caller's transaction goes on without it
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", None) != _CANCELED:
            raise
        raise Refused(
            f"Counting took longer than {limit_ms / 1000:g} seconds and was given up. The rules can be saved all the"
            " same; their members are then found in the background."
        ) from error
    return Counted(
        sentence=say_tree(node),
        everyone=_sum(tallies, lambda _: True),
        matching=matching,
        leaves=tuple(_count_leaf(leaf, place, node, leaves, tallies) for place, leaf in enumerate(leaves)),
        sample=found,
        seconds=time.monotonic() - began,
    )


def _tally(cursor: Any, leaves: Sequence[Leaf], *, zone: ZoneInfo, now: datetime) -> list[_Tally]:
    """People grouped by their answers. The columns are plain booleans, since PostgreSQL then expects few groups and
    shares the work among its workers. Looking for missing values costs as much as a rule, so only some are."""
    compiled = [compile_leaf(leaf, zone) for leaf in leaves]
    negative = _negative(leaves)
    lacking = ["count(*) filter (where p.properties -> %s is null)"] * len(negative)
    columns = [*(each.text for each in compiled), "count(*)", *lacking]
    by = ", ".join(str(place + 1) for place in range(len(compiled)))
    statement = f"select {', '.join(columns)} from profile p where p.merged_into is null group by {by}"
    params = [param for each in compiled for param in each.bind(now)] + [leaves[place].key for place in negative]
    cursor.execute(sql.SQL(statement), params)
    count = len(compiled)
    return [_Tally(row[:count], row[count], row[count + 1 :]) for row in cursor.fetchall()]


def _negative(leaves: Sequence[Leaf]) -> list[int]:
    """The places of rules for which it matters who has no value."""
    return [place for place, leaf in enumerate(leaves) if leaf.operator.is_negative]


def _sample(cursor: Any, compiled: Compiled, *, now: datetime, limit: int) -> tuple[UUID, ...]:
    """Some who match: those found first, since finding the newest would mean sorting all."""
    statement = sql.SQL("select p.guid from profile p where p.merged_into is null and {} limit %s")
    cursor.execute(statement.format(compiled.sql), [*compiled.bind(now), limit])
    return tuple(sorted((row[0] for row in cursor.fetchall()), reverse=True))


def _holds(part: Node | Leaf, tally: _Tally, places: dict[str, int]) -> bool:
    if isinstance(part, Leaf):
        return tally.answers[places[part.path]]
    answers = (_holds(child, tally, places) for child in part.children)
    return all(answers) if part.match == "all" else any(answers)


def _count_leaf(leaf: Leaf, place: int, node: Node, leaves: Sequence[Leaf], tallies: Sequence[_Tally]) -> LeafCount:
    is_funnel = node.match == "all" and all(isinstance(child, Leaf) for child in node.children)
    negative = _negative(leaves)
    lacking = sum(tally.lacking[negative.index(place)] for tally in tallies) if place in negative else None
    return LeafCount(
        path=leaf.path,
        sentence=say_leaf(leaf),
        alone=_sum(tallies, lambda tally: tally.answers[place]),
        left=_sum(tallies, lambda tally: all(tally.answers[: place + 1])) if is_funnel else None,
        without_value=lacking,
        takes_without_value=leaf.operator.is_negative and leaf.include_null,
    )


def _sum(tallies: Sequence[_Tally], wanted: Callable[[_Tally], bool]) -> int:
    return sum(tally.people for tally in tallies if wanted(tally))
