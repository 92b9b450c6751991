"""A SQLite file as a destination: one upsert per row, prepared once, inside one transaction per batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from plugins.contracts import Target
from plugins.sql.exporting import SqlExports
from plugins.sql.tables import GROUP_COLUMN
from plugins.sqlite.source import SqliteSource


class SqliteDestination(SqliteSource, SqlExports):
    """The exporting half of the SQLite plugin."""

    column_types: ClassVar[dict[str, str]] = {
        "string": "text",
        "integer": "integer",
        "float": "real",
        "boolean": "boolean",
        "date": "text",
    }

    def to_column(self, value: Any, type_: str) -> Any:
        # Dates are text here anyway: the payload's own ISO 8601 keeps its time zone.
        return value if type_ == "date" and isinstance(value, str) else super().to_column(value, type_)

    def write_rows(self, target: Target, payloads: Sequence[Mapping[str, Any]]) -> None:
        names = [self.quote(field) for field in target.fields]
        key = self.quote(target.key_field)
        sets = ", ".join(f"{name} = excluded.{name}" for name in names if name != key)
        action = f"update set {sets}" if sets else "nothing"
        table = self.quote_table(target.options["table"])
        places = ", ".join(["?"] * len(names))
        sql = f"insert into {table} ({', '.join(names)}) values ({places}) on conflict ({key}) do {action}"
        self.execute(sql, many=self.to_rows(target, payloads)).close()

    def insert_groups(self, target: Target, pairs: Sequence[tuple[Any, str]]) -> None:
        table = self.quote_table(target.options["groups_table"])
        key, group = self.quote(target.key_field), self.quote(GROUP_COLUMN)
        sql = f"insert into {table} ({key}, {group}) values (?, ?) on conflict do nothing"
        self.execute(sql, many=pairs).close()
