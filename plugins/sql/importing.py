"""Reading records page by page in the order (changed, id), from a table or a query.

Rows whose changed value is NULL are read once, first, in the order of their id; a mark with only an id stands among
them. Then come all others. Pages that follow each other on one connection are read ahead in growing blocks, so that a
source without a fitting index is not sorted anew for every page.
"""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core.lib.templates import Variable
from plugins.base import ImportsRecords
from plugins.contracts import Halt, Mark, Page, RecordSource, Reject
from plugins.sql.app import COUNT_TIMEOUT, SqlApp
from plugins.sql.errors import TooSlow
from plugins.sql.marks import as_time, just_before, read_mark, rewind_value, write_mark
from plugins.sql.queries import bind_template, check_select

_MOST_PAGES_AHEAD = 8
_AHEAD_SECONDS = 30.0  # rows read ahead are not handed out when they are older than this


@dataclass(slots=True)
class _Ahead:
    """Rows already read that follow `mark`, and whether the source has more behind them."""

    source: RecordSource
    mark: Mark
    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    more: bool
    pages: int
    read_at: float = field(default_factory=time.monotonic)


class SqlImports(SqlApp, ImportsRecords):
    """The import half of a SQL plugin."""

    _ahead: _Ahead | None = None

    @abstractmethod
    def after_mark(self, changed: str, id_column: str) -> str:
        """The condition `(changed, id) > (placeholder...)`; `after_mark_values` gives its values."""

    def after_mark_values(self, changed: Any, id_: Any) -> list[Any]:
        """The values for `after_mark`, in its order."""
        return [changed, id_]

    @abstractmethod
    def beginning(self, type_code: Any) -> Any:
        """A value before all others of a column with this type code of the driver's cursor description."""

    def to_bind(self, value: Any) -> Any:
        """A mark's value as the driver takes it."""
        return value

    def from_row(self, value: Any) -> Any:
        """A changed or id value of a row as a mark's value."""
        return value

    def json_columns(self, table: str) -> frozenset[str]:
        """The columns of a table that hold JSON and that the driver gives as text."""
        return frozenset()

    # ------------------------------------------------------------ the capability

    def read_page(self, source: RecordSource, *, after: Mark | None, limit: int) -> Page:
        source = self._with_id(source)
        ahead = self._ahead
        self._ahead = None
        following = ahead is not None and ahead.source == source and ahead.mark == after
        if ahead is None or not following or time.monotonic() - ahead.read_at > _AHEAD_SECONDS or not ahead.rows:
            pages = min(ahead.pages * 2, _MOST_PAGES_AHEAD) if ahead is not None and following else 1
            ahead = self._read_block(source, after or Mark(), limit * pages, pages)
        rows, left = ahead.rows[:limit], ahead.rows[limit:]
        mark = self._mark_of(source, ahead.columns, rows[-1]) if rows else (after or Mark())
        more = bool(left) or ahead.more
        self._ahead = replace(ahead, mark=mark, rows=left) if more else None
        position = self._position(ahead.columns, source.changed_column) if source.changed_column else None
        return Page(
            columns=ahead.columns,
            rows=rows,
            mark=mark,
            more=more,
            changed=[as_time(row[position]) for row in rows] if position is not None else (),
        )

    def count(self, source: RecordSource, *, after: Mark | None) -> int | None:
        """Exact, but None where counting takes longer than two seconds."""
        total = 0
        try:
            with self.time_limit(COUNT_TIMEOUT):
                for condition, values in self._conditions(source, after or Mark()):
                    table, bound = self._from(source, after or Mark())
                    where = f" where {condition}" if condition else ""
                    _, rows = self.query(f"select count(*) from {table}{where}", (*bound, *values))
                    total += int(rows[0][0])
        except TooSlow:
            return None
        return total

    def rewind(self, mark: Mark, *, lookback: float) -> Mark:
        if mark.changed is None:
            return mark
        return Mark(changed=write_mark(rewind_value(read_mark(mark.changed), lookback)))

    def check_import_query(self, template: str) -> None:
        """Raise `Reject` when the template is not one read-only SELECT that may be read page by page."""
        check_select(
            bind_template(template, self.dialect, lambda variable, _: _only_mark(variable, "null")), self.dialect
        )

    # ------------------------------------------------------------ statements

    def _read_block(self, source: RecordSource, after: Mark, limit: int, pages: int) -> _Ahead:
        columns: tuple[str, ...] = ()
        rows: list[tuple[Any, ...]] = []
        for condition, values in self._conditions(source, after):
            wanted = limit + 1 - len(rows)
            table, bound = self._from(source, after)
            where = f" where {condition}" if condition else ""
            order = ", ".join(self.quote(name) for name in (source.changed_column, source.id_column) if name)
            sql = f"select * from {table}{where} order by {order} limit {wanted}"
            columns, found = self.query(sql, (*bound, *values))
            rows.extend(found)
            if len(rows) > limit:
                break
        more, rows = len(rows) > limit, rows[:limit]
        if source.table and rows and (held := self.json_columns(source.table)):
            rows = _read_json(rows, [place for place, column in enumerate(columns) if column in held])
        return _Ahead(source, after, columns, rows, more, pages)

    def _conditions(self, source: RecordSource, after: Mark) -> list[tuple[str, list[Any]]]:
        """The conditions whose rows, one after the other, are what comes behind the mark; each with its values."""
        id_ = None if after.id is None else self.to_bind(read_mark(after.id))
        id_column = self.quote(source.id_column)
        behind_id = f"{id_column} > {self.placeholder}"
        if not source.changed_column:
            return [("", [])] if id_ is None else [(behind_id, [id_])]
        changed_column = self.quote(source.changed_column)
        if after.changed is None:
            empty = f"{changed_column} is null"
            first = (empty, []) if id_ is None else (f"{empty} and {behind_id}", [id_])
            return [first, (f"{changed_column} is not null", [])]
        changed = self.to_bind(read_mark(after.changed))
        if id_ is None:
            return [(f"{changed_column} >= {self.placeholder}", [changed])]
        return [(self.after_mark(changed_column, id_column), self.after_mark_values(changed, id_))]

    def _from(self, source: RecordSource, after: Mark) -> tuple[str, list[Any]]:
        """What stands behind FROM, with the values of its placeholders."""
        if source.table:
            return self.quote_table(source.table), []
        marks = 0

        def render(variable: Variable, _quoted: bool) -> str:
            nonlocal marks
            marks += 1
            return _only_mark(variable, self.placeholder)

        try:
            checked = bind_template(source.query, self.dialect, lambda variable, _: _only_mark(variable, "null"))
            check_select(checked, self.dialect)
            text = bind_template(source.query, self.dialect, render, escape=self.escape)
        except Reject as error:
            raise Halt(error.reason) from None
        value = self._bound_mark(source, checked, after) if marks else None
        return f"({text}) q", [value] * marks

    def _bound_mark(self, source: RecordSource, checked: str, after: Mark) -> Any:
        if after.changed is not None:
            return self.to_bind(just_before(read_mark(after.changed)))
        cursor = self.execute(f"select * from ({self.escape(checked)}) q limit 0")
        names = tuple(column[0] for column in cursor.description)
        type_code = cursor.description[self._position(names, source.changed_column or source.id_column)][1]
        cursor.close()
        return self.beginning(type_code)

    # ------------------------------------------------------------ marks

    def _with_id(self, source: RecordSource) -> RecordSource:
        if not source.table and not source.query:
            raise Halt("The schedule names neither a table nor a query to read.")
        if source.id_column:
            return source
        raise Halt("The schedule names no id column: choose the column that tells the rows apart.")

    def _mark_of(self, source: RecordSource, columns: Sequence[str], row: Sequence[Any]) -> Mark:
        id_ = row[self._position(columns, source.id_column)]
        if id_ is None:
            raise Halt(f"The id column {source.id_column} is empty in some rows: choose a column that never is.")
        changed = row[self._position(columns, source.changed_column)] if source.changed_column else None
        return Mark(
            changed=None if changed is None else write_mark(self.from_row(changed)),
            id=write_mark(self.from_row(id_)),
        )

    def _position(self, columns: Sequence[str], name: str) -> int:
        try:
            return columns.index(name)
        except ValueError:
            pass
        lowered = [column.lower() for column in columns]
        if name.lower() in lowered:
            return lowered.index(name.lower())
        raise Halt(f"The column {name} is not among what was read: {', '.join(columns)}.")


def _read_json(rows: Sequence[tuple[Any, ...]], places: Sequence[int]) -> list[tuple[Any, ...]]:
    """The rows with the JSON at these places as what it says; what is no JSON after all stays text."""

    def read(value: Any) -> Any:
        try:
            return json.loads(value) if isinstance(value, str) else value
        except ValueError:
            return value

    return [tuple(read(value) if place in places else value for place, value in enumerate(row)) for row in rows]


def _only_mark(variable: Variable, sql: str) -> str:
    if variable.is_property:
        raise Reject(f"A schedule's query may only use {{{{high_water_mark}}}}, not {{{{profile.{variable.key}}}}}.")
    return sql
