"""MySQL and MariaDB as a destination: multi-row upserts.

An upsert looks at every unique key of the table: a row that meets another profile's row by a second unique key updates
that one. Tables that Grouparoo makes have the primary key alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from plugins.contracts import Field, Target
from plugins.mysql.source import MysqlSource
from plugins.sql.exporting import SqlExports
from plugins.sql.tables import GROUP_COLUMN


class MysqlDestination(MysqlSource, SqlExports):
    """The exporting half of the MySQL plugin."""

    column_types: ClassVar[dict[str, str]] = {
        "string": "longtext character set utf8mb4",
        "integer": "bigint",
        "float": "double",
        "boolean": "boolean",
        "date": "datetime(6)",
    }
    # Exact: MySQL's usual collations would take "Zoë" and "zoe" for the same key.
    key_column_types: ClassVar[dict[str, str]] = dict.fromkeys(
        ("string", "email", "url", "phone_number"), "varchar(255) character set utf8mb4 collate utf8mb4_bin"
    )

    def fields(self, target_options: Mapping[str, Any]) -> Sequence[Field]:
        found = super().fields(target_options)
        as_json = self.json_columns(str(target_options["table"])) if found else ()
        return [replace(field, type="json") if field.key in as_json else field for field in found]

    def write_rows(self, target: Target, payloads: Sequence[Mapping[str, Any]]) -> None:
        names = [self.quote(field) for field in target.fields]
        key = self.quote(target.key_field)
        sets = ", ".join(f"{name} = values({name})" for name in names if name != key) or f"{key} = {key}"
        places = ", ".join(["%s"] * len(names))
        table = self.quote_table(target.options["table"])
        sql = f"insert into {table} ({', '.join(names)}) values ({places}) on duplicate key update {sets}"
        self.execute(sql, many=self.to_rows(target, payloads)).close()

    def insert_groups(self, target: Target, pairs: Sequence[tuple[Any, str]]) -> None:
        table = self.quote_table(target.options["groups_table"])
        key, group = self.quote(target.key_field), self.quote(GROUP_COLUMN)
        sql = f"insert into {table} ({key}, {group}) values (%s, %s) on duplicate key update {group} = {group}"
        self.execute(sql, many=pairs).close()
