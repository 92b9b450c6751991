"""When time alone will change whether a group's rules hold for someone. Used by `groups/explaining.py` alone.

An answer can only change where a date passes a boundary: candidates for such moments come from the leaves, and the
rules are evaluated at each of them, so what is foreseen is true whatever the tree is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from groups.definitions import Definition
from groups.moving_time import Boundary
from groups.tree import AnyLeaf, EventLeaf, Leaf, Source
from profiles.models import Profile

MOST_TIMES = 5000  # of what someone did for one leaf; who did it more often is not followed further back
_HORIZON = timedelta(days=3660)  # nobody plans further ahead than that
_STEP = timedelta(microseconds=1)
_AHEAD = 10  # events said to lie ahead that are looked at


class Question(NamedTuple):
    """Whether a leaf of a group holds at a moment."""

    group_id: int
    leaf: AnyLeaf
    at: datetime


def foresee(
    definitions: Sequence[Definition],
    profile: Profile,
    times: Mapping[EventLeaf, list[datetime]],
    answers: Mapping[int, Mapping[str, bool]],
    *,
    ask: Callable[[Sequence[Question]], list[bool]],
    now: datetime,
) -> dict[int, datetime]:
    """For each group the first moment at which its answer turns round if nothing else changes.

    `times` are when the person did what each event leaf counts, rising; `ask` answers in the order of the questions.
    """
    moments: dict[int, list[datetime]] = {}
    questions: list[Question] = []
    for definition in definitions:
        moving = [leaf for leaf in definition.node.leaves() if leaf.boundaries]
        found = {at for leaf in moving for at in _moments(leaf, profile, times, definition.zone, now=now)}
        moments[definition.group_id] = sorted(found)
        questions += [Question(definition.group_id, leaf, at) for at in sorted(found) for leaf in moving]
    then: dict[tuple[int, datetime], dict[str, bool]] = {}
    for question, holds in zip(questions, ask(questions), strict=False):
        then.setdefault((question.group_id, question.at), {})[question.leaf.path] = holds
    flips: dict[int, datetime] = {}
    for definition in definitions:
        today = dict(answers[definition.group_id])
        holds_today = definition.node.holds(today)
        for moment in moments[definition.group_id]:
            if definition.node.holds({**today, **then.get((definition.group_id, moment), {})}) is not holds_today:
                flips[definition.group_id] = moment
                break
    return flips


def _moments(
    leaf: AnyLeaf, profile: Profile, times: Mapping[EventLeaf, list[datetime]], zone: ZoneInfo, *, now: datetime
) -> Iterator[datetime]:
    """When the leaf's answer may change."""
    for boundary in leaf.boundaries:
        for at in _dates(leaf, profile, times, boundary, zone, now=now):
            moment = _passes(boundary, at, zone, now=now)
            if moment is not None:
                yield moment


def _dates(
    leaf: AnyLeaf,
    profile: Profile,
    times: Mapping[EventLeaf, list[datetime]],
    boundary: Boundary,
    zone: ZoneInfo,
    *,
    now: datetime,
) -> Sequence[datetime]:
    """The dates whose passing a boundary may matter."""
    if isinstance(leaf, Leaf):
        at = _value_of(leaf, profile)
        return [] if at is None else [at]
    if not isinstance(leaf, EventLeaf):
        return []
    done = times[leaf]
    begin, end = bisect_right(done, leaf.boundaries[0].at(now, zone)), bisect_right(done, now)
    ahead = done[end : end + _AHEAD]
    if not boundary.direction:
        return ahead
    # of what is within, only those count whose leaving brings the number to where the answer changes
    leaving = (end - begin) - leaf.count
    nearest = range(begin + leaving - 1, begin + leaving + 2 + len(ahead))
    return [done[place] for place in nearest if begin <= place < end + len(ahead)]


def _value_of(leaf: Leaf, profile: Profile) -> datetime | None:
    if leaf.source is Source.PROFILE:
        found: Any = getattr(profile, leaf.key)
        return found if isinstance(found, datetime) else None
    value = profile.properties.get(leaf.key)
    return datetime.fromisoformat(value) if isinstance(value, str) else None


def _passes(boundary: Boundary, at: datetime, zone: ZoneInfo, *, now: datetime) -> datetime | None:
    """The first moment after now at which a boundary has reached `at`. It never moves back, so halving finds it."""
    low, high = now, now + _HORIZON
    if boundary.at(low, zone) >= at or boundary.at(high, zone) < at:
        return None
    while high - low > _STEP:
        middle = low + (high - low) / 2
        if boundary.at(middle, zone) >= at:
            high = middle
        else:
            low = middle
    return high
