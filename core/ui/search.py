"""The one search box: what each app can find, grouped by kind, with no import upward.

An app registers a finder in its `AppConfig.ready()`: the kind it finds, and a function that takes what was typed and
how many to give at most. A finder asks one statement or two, by an index or of a small table, and finds nothing
quickly: every finder is asked while someone is typing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Case, Model, Q, QuerySet, Value, When
from django.utils.functional import Promise

MOST_OF_A_KIND = 5
MOST_OF_ONE_KIND = 100  # when only one kind is asked for
LONGEST = 200

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing that was found: its name, a line that tells it from others, its page."""

    label: str
    url: str
    detail: str = ""


Find = Callable[[str, int], Sequence[Hit]]


@dataclass(frozen=True, slots=True)
class Finder:
    """How things of one kind are found. `order` sorts the kinds."""

    kind: str  # in an address, such as "groups"
    label: str | Promise
    icon: str
    find: Find
    order: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of one kind; `is_more` when there is more than that."""

    finder: Finder
    hits: Sequence[Hit]
    is_more: bool


_finders: dict[str, Finder] = {}


def register(finder: Finder) -> None:
    """Add a finder; one of the same kind takes its place."""
    _finders[finder.kind] = finder


def kinds() -> list[Finder]:
    """Every finder, in order."""
    return sorted(_finders.values(), key=lambda finder: finder.order)


def clean(text: str) -> str:
    """What was typed, as finders get it."""
    return " ".join(text.replace("\0", "").split())[:LONGEST]


def find(text: str, *, kind: str = "") -> list[Found]:
    """What is found of every kind, or more of the one named; kinds without anything are left out."""
    wanted = clean(text)
    if not wanted:
        return []
    chosen = [_finders[kind]] if kind in _finders else kinds()
    limit = MOST_OF_ONE_KIND if kind in _finders else MOST_OF_A_KIND
    found = [(finder, finder.find(wanted, limit + 1)) for finder in chosen]
    return [Found(finder, hits[:limit], len(hits) > limit) for finder, hits in found if hits]


def named(rows: QuerySet[Row, Row], text: str, *fields: str) -> QuerySet[Row, Row]:
    """Rows in whose fields every word of `text` begins a word; those whose first field begins with it all come first.

    For tables of hundreds, which are read as a whole.
    """
    for word in text.split():
        begins = rf"(^|[^[:alnum:]]){re.escape(word)}"
        any_field = Q()
        for field in fields:
            any_field |= Q(**{f"{field}__iregex": begins})
        rows = rows.filter(any_field)
    first: Any = Case(When(**{f"{fields[0]}__istartswith": text}, then=Value(0)), default=Value(1))
    return rows.order_by(first, fields[0], "pk")
