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
_PACKED = 60  # answers in one whole number of 64 bits
_CANCELED = "57014"  # PostgreSQL's code for a statement that ran into its time limit


@dataclass(frozen=True, slots=True)
class LeafCount:
    """One rule: how many it takes alone; how many are left after it and those before, where all have to match.

    `without_value` have no value of its property; `takes_without_value` says whether `alone` counts them.
    """

    path: str
    sentence: str
    alone: int
    left: int | None
    without_value: int
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
    """How many people answer the rules in one way. Of each rule two bits: it holds, there is no value."""

    mask: int
    people: int

    def holds(self, place: int) -> bool:
        return bool(self.mask >> (2 * place) & 1)

    def lacks(self, place: int) -> bool:
        return bool(self.mask >> (2 * place + 1) & 1)


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
        leaves=tuple(_count_leaf(leaf, place, node, tallies) for place, leaf in enumerate(leaves)),
        sample=found,
        seconds=time.monotonic() - began,
    )


def _tally(cursor: Any, leaves: Sequence[Leaf], *, zone: ZoneInfo, now: datetime) -> list[_Tally]:
    """The bits are packed into whole numbers, and the people grouped by these."""
    bits: list[str] = []
    params: list[Any] = []
    for leaf in leaves:
        compiled = compile_leaf(leaf, zone)
        bits += [compiled.text, "(p.properties -> %s) is null"]
        params += [*compiled.bind(now), leaf.key]
    packs = [bits[start : start + _PACKED] for start in range(0, len(bits), _PACKED)]
    columns = [" + ".join(f"({bit})::int * {1 << place}::bigint" for place, bit in enumerate(pack)) for pack in packs]
    by = ", ".join(str(place + 2) for place in range(len(columns)))
    statement = f"select count(*), {', '.join(columns)} from profile p where p.merged_into is null group by {by}"
    cursor.execute(sql.SQL(statement), params)
    return [
        _Tally(sum(pack << (_PACKED * place) for place, pack in enumerate(row[1:])), row[0])
        for row in cursor.fetchall()
    ]


def _sample(cursor: Any, compiled: Compiled, *, now: datetime, limit: int) -> tuple[UUID, ...]:
    """Some who match: those found first, since finding the newest would mean sorting all."""
    statement = sql.SQL("select p.guid from profile p where p.merged_into is null and {} limit %s")
    cursor.execute(statement.format(compiled.sql), [*compiled.bind(now), limit])
    return tuple(sorted((row[0] for row in cursor.fetchall()), reverse=True))


def _holds(part: Node | Leaf, tally: _Tally, places: dict[str, int]) -> bool:
    if isinstance(part, Leaf):
        return tally.holds(places[part.path])
    answers = (_holds(child, tally, places) for child in part.children)
    return all(answers) if part.match == "all" else any(answers)


def _count_leaf(leaf: Leaf, place: int, node: Node, tallies: Sequence[_Tally]) -> LeafCount:
    is_funnel = node.match == "all" and all(isinstance(child, Leaf) for child in node.children)
    return LeafCount(
        path=leaf.path,
        sentence=say_leaf(leaf),
        alone=_sum(tallies, lambda tally: tally.holds(place)),
        left=_sum(tallies, lambda tally: all(map(tally.holds, range(place + 1)))) if is_funnel else None,
        without_value=_sum(tallies, lambda tally: tally.lacks(place)),
        takes_without_value=leaf.operator.is_negative and leaf.include_null,
    )


def _sum(tallies: Sequence[_Tally], wanted: Callable[[_Tally], bool]) -> int:
    return sum(tally.people for tally in tallies if wanted(tally))
