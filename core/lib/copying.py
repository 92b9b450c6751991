"""COPY rows into PostgreSQL: the fastest way in, in the text format that it documents."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any, Protocol
from uuid import UUID

from psycopg2 import sql

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class CopyCursor(Protocol):
    """What is needed of Django's cursor on PostgreSQL."""

    db: Any

    def copy_expert(self, sql: Any, file: Any) -> None:
        """Run a COPY statement against a file."""


def copy_rows(cursor: CopyCursor, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """COPY `rows` into `table`. Values are text, numbers, booleans, UUIDs or None; JSON comes as its text."""
    lines = [_line(row) for row in rows]
    if not lines:
        return
    lines.append("")
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with cursor.db.wrap_database_errors:  # Django translates the errors of `execute`, but not those of this
        cursor.copy_expert(statement, io.StringIO("\n".join(lines)))


def _line(row: Sequence[Any]) -> str:
    """One line. Looking for the few characters in the whole line is far cheaper than translating every text."""
    cells = [value if type(value) is str else _cell(value) for value in row]
    line = "\t".join(cells)
    if "\\" not in line and "\n" not in line and "\r" not in line and line.count("\t") == len(cells) - 1:
        return line
    return "\t".join(
        [value.translate(_ESCAPES) if type(value) is str else cell for value, cell in zip(row, cells, strict=True)]
    )


def _cell(value: Any) -> str:
    if value is None:
        return "\\N"
    if type(value) is bool:
        return "t" if value else "f"
    if type(value) is UUID:
        return value.hex
    return str(value)
