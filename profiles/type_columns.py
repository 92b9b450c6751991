"""Typing many values of one rule at once: what is common in a source is decided for the column, not for each value.

A first load types every column of every row, so the call for each value is what costs. What is not common goes through
the rule's own `parse`, value by value; both give the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from math import isfinite
from typing import Any

from profiles.dates import fixed_width
from profiles.rejected import Rejected
from profiles.ruleset import Rule
from profiles.types import LONG_KEY, TYPES, are_plain_emails, compare_key

_LARGEST = 2**63 - 1


def type_column(rule: Rule, raws: Sequence[Any]) -> tuple[Sequence[Any], Sequence[int]]:
    """The typed values (None: no value) of a rule's raw ones, and the places of those that do not fit its type."""
    kinds = set(map(type, raws))
    if len(kinds) == 1 and not rule.is_array:
        quick = _QUICK.get((rule.type, kinds.pop()))
        typed = quick(raws) if quick is not None else None
        if typed is not None:
            return typed, ()
    return _type_each(rule, raws)


def compare_column(type_key: str, values: Sequence[Any]) -> Sequence[str | None]:
    """The text by which each of these typed values is found (None: no value)."""
    if TYPES[type_key].show is str and None not in values:
        texts = list(map(str, values))
        if max(map(len, texts)) <= LONG_KEY:
            return texts
    return [None if value is None else compare_key(type_key, value) for value in values]


def _type_each(rule: Rule, raws: Sequence[Any]) -> tuple[Sequence[Any], Sequence[int]]:
    parse, typed, misfits = rule.parse, [], []
    for place, raw in enumerate(raws):
        try:
            typed.append(parse(raw))
        except Rejected:
            typed.append(None)
            misfits.append(place)
    return typed, misfits


def _texts(raws: Sequence[str]) -> Sequence[Any] | None:
    whole = "".join(raws)
    if not whole.isascii() or "\0" in whole:
        return None
    trimmed = list(map(str.strip, raws))
    return trimmed if all(trimmed) else [text or None for text in trimmed]


def _emails(raws: Sequence[str]) -> Sequence[Any] | None:
    lower = [raw.strip().lower() for raw in raws]
    return lower if are_plain_emails(lower) else None


def _integers(raws: Sequence[int]) -> Sequence[Any] | None:
    return raws if min(raws) >= -_LARGEST and max(raws) <= _LARGEST else None


def _floats(raws: Sequence[float]) -> Sequence[Any] | None:
    return [raw + 0.0 for raw in raws] if isfinite(sum(raws)) else None  # minus zero becomes zero


def _dates(raws: Sequence[datetime]) -> Sequence[Any] | None:
    try:
        return list(map(fixed_width, raws))
    except Rejected:
        return None


def _as_they_are(raws: Sequence[Any]) -> Sequence[Any]:
    return raws


_QUICK: dict[tuple[str, type[Any]], Callable[[Any], Sequence[Any] | None]] = {
    ("string", str): _texts,
    ("email", str): _emails,
    ("integer", int): _integers,
    ("float", float): _floats,
    ("boolean", bool): _as_they_are,
    ("date", datetime): _dates,
}
