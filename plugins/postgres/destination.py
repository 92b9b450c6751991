"""PostgreSQL as a destination: a batch goes as one JSON text, which the server reads by the table's own types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from core.lib.json import NotStorable, dumps
from plugins.contracts import Target
from plugins.postgres.source import PostgresSource
from plugins.sql.errors import RefusalKind, Refused
from plugins.sql.exporting import SqlExports
from plugins.sql.tables import GROUP_COLUMN


class PostgresDestination(PostgresSource, SqlExports):
    """The exporting half of the PostgreSQL plugin."""

    batch_size = 2500  # a quarter less of the server's time than batches of 1,000

    column_types: ClassVar[dict[str, str]] = {
        "string": "text",
        "integer": "bigint",
        "float": "double precision",
        "boolean": "boolean",
        "date": "timestamptz",
    }

    reads_json = True

    def write_rows(self, target: Target, payloads: Sequence[Mapping[str, Any]]) -> None:
        table = self.quote_table(target.options["table"])
        columns = list(map(self.quote, target.fields))
        names, key = ", ".join(columns), self.quote(target.key_field)
        sets = ", ".join(f"{name} = excluded.{name}" for name in columns if name != key)
        action = f"update set {sets}" if sets else "nothing"
        try:
            text = dumps(payloads)
        except NotStorable as error:
            raise Refused(f"A value {error}.", kind=RefusalKind.DATA) from None
        self.execute(
            f"insert into {table} ({names}) select {names} from jsonb_populate_recordset(null::{table}, %s)"
            f" on conflict ({key}) do {action}",
            (text,),
        ).close()

    def insert_groups(self, target: Target, pairs: Sequence[tuple[Any, str]]) -> None:
        table = self.quote_table(target.options["groups_table"])
        key, group = self.quote(target.key_field), self.quote(GROUP_COLUMN)
        type_ = self._key_type(target)
        keys = self.key_parameter(type_, [key for key, _ in pairs])
        self.execute(
            f"insert into {table} ({key}, {group}) select * from unnest(%s::{type_.sql}[], %s::text[])"
            " on conflict do nothing",
            (keys, [name for _, name in pairs]),
        ).close()
