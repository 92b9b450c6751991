"""Tables that sort and page, by the address alone: `?sort=name`, `?sort=-size`, `?page=2`.

    sort = read_sort(request, ("name", "size"), usual="name")
    rows = arrange(rows, sort, {"name": lambda row: row.name.lower(), "size": lambda row: row.size})
    part = part_of(rows, request)

and in the template, with `sort` and `part` in the context, `{% sort_head "name" "Group" %}` for each head that sorts
and `{% include "ui/_pages.html" %}` below. Every list has one order in which each row has its place, so pages stay as
they are: equal rows keep the order they came in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.http import HttpRequest

ROWS = 50

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Sort:
    """What a list is sorted by. `usual` is the order of a list of which nobody asked for another."""

    key: str
    is_down: bool
    usual: str

    def __str__(self) -> str:
        return f"-{self.key}" if self.is_down else self.key

    def turned_by(self, by: str) -> str:
        """What to ask for when someone clicks on `by`: that, or the other way round when it is the order already."""
        if by.removeprefix("-") != self.key:
            return by
        return self.key if self.is_down else f"-{self.key}"

    @property
    def is_usual(self) -> bool:
        """Whether nobody asked for another order."""
        return str(self) == self.usual


@dataclass(frozen=True, slots=True)
class Part(Generic[Row]):
    """One page of rows that are all at hand. Pages count from 1."""

    rows: Sequence[Row]
    number: int
    last: int
    count: int

    @property
    def before(self) -> int | None:
        """The page above."""
        return self.number - 1 if self.number > 1 else None

    @property
    def after(self) -> int | None:
        """The page below."""
        return self.number + 1 if self.number < self.last else None


def read_sort(request: HttpRequest, keys: Collection[str], *, usual: str) -> Sort:
    """The order that was asked for, or the usual one; what this list cannot be sorted by asks for nothing."""
    asked = request.GET.get("sort", "")
    chosen = asked if asked.removeprefix("-") in keys else usual
    return Sort(chosen.removeprefix("-"), chosen.startswith("-"), usual)


def arrange(rows: Sequence[Row], sort: Sort, values: Mapping[str, Callable[[Row], Any]]) -> list[Row]:
    """The rows in that order; those without a value (None) come last either way, equal ones as they came."""
    value = values[sort.key]
    known = [row for row in rows if value(row) is not None]
    unknown = [row for row in rows if value(row) is None]
    return sorted(known, key=value, reverse=sort.is_down) + unknown


def part_of(rows: Sequence[Row], request: HttpRequest, *, size: int = ROWS) -> Part[Row]:
    """The page that was asked for, or the nearest there is."""
    asked = request.GET.get("page", "")
    last = max(1, -(-len(rows) // size))
    number = min(max(1, int(asked)), last) if asked.isdecimal() and len(asked) < 10 else 1
    return Part(rows[(number - 1) * size : number * size], number, last, len(rows))
