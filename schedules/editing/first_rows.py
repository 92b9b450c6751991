"""The first rows of an import as its editor shows them: cells and changes as texts, one column for each property."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from core.ui import wording
from schedules.first_rows import Fate, FirstRow, FirstRows


@dataclass(frozen=True, slots=True)
class Counted:
    """How many of the rows have a fate."""

    label: str
    count: int


@dataclass(frozen=True, slots=True)
class ShownRow:
    """One row as texts; `changes` are (property, before, after)."""

    number: int
    fate: Fate
    cells: Sequence[str]
    profile_id: UUID | None
    changes: Sequence[tuple[str, str, str]]
    problems: Sequence[str]


@dataclass(frozen=True, slots=True)
class ShownRows:
    """What the page shows."""

    keys: Sequence[str]
    fates: Sequence[Counted]
    rows: Sequence[ShownRow]
    notes: Sequence[str]
    has_more: bool

    @property
    def width(self) -> int:
        """How many columns the table has."""
        return len(self.keys) + 3


def show(first: FirstRows) -> ShownRows:
    """Rows as texts."""
    keys = list(first.mapping.values())
    fates = [Counted(str(Fate(value).label), count) for value, count in first.counts.items()]
    return ShownRows(keys, fates, [_show_row(row, keys) for row in first.rows], first.notes, first.has_more)


def _show_row(row: FirstRow, keys: Sequence[str]) -> ShownRow:
    changes = [(key, _text(before), _text(after)) for key, (before, after) in row.changes.items()]
    cells = [_text(row.values.get(key)) for key in keys]
    return ShownRow(row.number, row.fate, cells, row.profile_id, changes, row.problems)


def _text(value: Any) -> str:
    return "" if value is None else wording.cell(value)
