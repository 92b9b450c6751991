"""Why a profile is in its groups, or not: each rule with its answer and the profile's value, and when time alone will
change the answer. One statement for all groups, a second one where rules move with time. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from psycopg2 import sql

from core.accounts import project
from groups.compile import Compiled, boundaries, compile_leaf
from groups.definitions import Definition, define_many
from groups.models import Group, GroupKind
from groups.moving_time import Boundary
from groups.sentence import say_leaf
from groups.tree import Leaf, Node
from profiles.models import Profile

_HORIZON = timedelta(days=3660)  # nobody plans further ahead than that
_STEP = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule: what it asks, whether it holds, and the value that decides it (None without one).

    `is_moot` says that it does not hold and need not, since any one rule is enough and another one holds.
    """

    key: str
    label: str
    sentence: str
    holds: bool
    is_moot: bool
    value: Any


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether a group's rules hold for a profile, why, and when time alone turns that round (None: not foreseen)."""

    match: str
    holds: bool
    reasons: tuple[Reason, ...]
    flips_at: datetime | None

    @property
    def missing(self) -> int:
        """How many more rules would have to hold."""
        if self.holds:
            return 0
        return 1 if self.match == "any" else sum(not reason.holds for reason in self.reasons)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One leaf of one group, compiled."""

    group_id: int
    leaf: Leaf
    compiled: Compiled


def explain(profile: Profile, groups: Iterable[Group], *, now: datetime) -> dict[int, Explanation]:
    """The explanation of each calculated group, by its id. Groups that cannot be read are left out."""
    calculated = [group for group in groups if group.kind == GroupKind.CALCULATED and group.rules]
    definitions = define_many((group.pk, group.rules_version, group.rules) for group in calculated)
    zone = project.current().time_zone
    asked = [
        _Asked(each.group_id, leaf, compile_leaf(leaf, zone)) for each in definitions for leaf in each.node.leaves()
    ]
    if not asked:
        return {}
    answers = _by_group(asked, _answer(profile.pk, [(each.compiled, now) for each in asked]))
    flips = _find_flips(profile, definitions, asked, answers, now=now)
    return {
        each.group_id: _explain(profile, each, answers[each.group_id], flips.get(each.group_id))
        for each in definitions
        if each.group_id in answers
    }


def _explain(
    profile: Profile, definition: Definition, answers: Mapping[str, bool], flips_at: datetime | None
) -> Explanation:
    node = definition.node
    holds = _holds(node, answers)
    reasons = tuple(
        Reason(
            key=leaf.key,
            label=leaf.label,
            sentence=say_leaf(leaf),
            holds=answers[leaf.path],
            is_moot=node.match == "any" and holds and not answers[leaf.path],
            value=profile.properties.get(leaf.key),
        )
        for leaf in node.leaves()
    )
    return Explanation(node.match, holds, reasons, flips_at)


def _holds(part: Node | Leaf, answers: Mapping[str, bool]) -> bool:
    if isinstance(part, Leaf):
        return answers[part.path]
    each = (_holds(child, answers) for child in part.children)
    return all(each) if part.match == "all" else any(each)


def _find_flips(
    profile: Profile,
    definitions: Sequence[Definition],
    asked: Sequence[_Asked],
    answers: Mapping[int, Mapping[str, bool]],
    *,
    now: datetime,
) -> dict[int, datetime]:
    """For each group the first moment at which its answer turns round if no value changes.

    An answer can only change where a date passes a boundary; each of these moments is tried, so whatever the tree is,
    what is found is true.
    """
    moving = [each for each in asked if boundaries(each.leaf)]
    times: dict[int, set[datetime]] = {}
    for each in moving:
        at = _date_of(profile.properties.get(each.leaf.key))
        if at is None:
            continue
        for boundary in boundaries(each.leaf):
            moment = _passes(boundary, at, each.compiled, now=now)
            if moment is not None:
                times.setdefault(each.group_id, set()).add(moment)
    tries = [(each, moment) for each in moving for moment in sorted(times.get(each.group_id, ()))]
    if not tries:
        return {}
    then: dict[tuple[int, datetime], dict[str, bool]] = {}
    found = _answer(profile.pk, [(each.compiled, moment) for each, moment in tries])
    for (each, moment), holds in zip(tries, found, strict=False):
        then.setdefault((each.group_id, moment), {})[each.leaf.path] = holds
    flips: dict[int, datetime] = {}
    for definition in definitions:
        today = answers.get(definition.group_id, {})
        for moment in sorted(times.get(definition.group_id, ())):
            later = {**today, **then.get((definition.group_id, moment), {})}
            if later and _holds(definition.node, later) != _holds(definition.node, today):
                flips[definition.group_id] = moment
                break
    return flips


def _passes(boundary: Boundary, at: datetime, compiled: Compiled, *, now: datetime) -> datetime | None:
    """The first moment after now at which a boundary has reached `at`. It never moves back, so halving finds it."""
    low, high = now, now + _HORIZON
    if boundary.at(low, compiled.zone) >= at or boundary.at(high, compiled.zone) < at:
        return None
    while high - low > _STEP:
        middle = low + (high - low) / 2
        if boundary.at(middle, compiled.zone) >= at:
            high = middle
        else:
            low = middle
    return high


def _date_of(value: Any) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else None


def _answer(guid: UUID, asked: Sequence[tuple[Compiled, datetime]]) -> list[bool]:
    """Each question at its moment, in one statement; nothing when the profile is gone."""
    statement = sql.SQL("select array[{}] from profile p where p.guid = %s").format(
        sql.SQL(", ").join(compiled.sql for compiled, _ in asked)
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*(param for compiled, at in asked for param in compiled.bind(at)), guid])
        row = cursor.fetchone()
    return list(row[0]) if row else []


def _by_group(asked: Sequence[_Asked], answers: Sequence[bool]) -> dict[int, dict[str, bool]]:
    found: dict[int, dict[str, bool]] = {}
    for each, holds in zip(asked, answers, strict=False):
        found.setdefault(each.group_id, {})[each.leaf.path] = holds
    return found
