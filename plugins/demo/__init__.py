"""The demo plugin: a small shop in one file, to import from and to export to, with no server and no account."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import mkstemp
from typing import Any, ClassVar

from plugins.contracts import AppSpec, Field, Option, OptionKind, Outcome, ProfileExport, Target
from plugins.demo.shop import ShopTable, make_shop
from plugins.sqlite.destination import SqliteDestination

__all__ = ["Demo"]

RECEIVED = {"table": "received", "groups_table": "received_groups", "create_table": True, "add_columns": True}
_COLUMN_TYPES = {"integer": "integer", "boolean": "boolean", "money": "numeric", "date": "timestamp"}


class Demo(SqliteDestination):
    """A shop whose database is made when it is first needed; what is exported to it lies in its table `received`."""

    spec = AppSpec(
        key="demo",
        label="Demo shop",
        description="A small shop that needs no server: import its customers, and see what an export would send.",
        icon="store",
        categories=("demo",),
        options=(
            Option(
                "path",
                "File",
                required=True,
                default="var/demo-shop.sqlite",
                help="Where the shop is kept. It is made there when the file does not exist.",
            ),
            Option("customers", "Customers", kind=OptionKind.NUMBER, default=500, help="How many a new shop has."),
        ),
        parallel_calls=2,
    )
    target_options: ClassVar[tuple[Option, ...]] = (
        Option("table", "Table", help="Leave it empty to send to the table that shows what was received."),
    )
    new_fields_option = ""

    def open(self) -> Any:
        path = Path(str(self.options.get("path") or ""))
        if not path.exists() and path.parent.is_dir():
            build(path, customers=int(self.options.get("customers") or 500))
        return super().open()

    def fields(self, target_options: Mapping[str, Any]) -> Sequence[Field]:
        return super().fields({**target_options, "create_table": True})

    def export(self, target: Target, batch: Sequence[ProfileExport]) -> Sequence[Outcome]:
        return super().export(_with_tables(target), batch)

    def read_back(self, target: Target, keys: Sequence[Any]) -> Mapping[Any, Mapping[str, Any]]:
        return super().read_back(_with_tables(target), keys)


def _with_tables(target: Target) -> Target:
    """Whoever names no table exports to the one that shows what was received."""
    return replace(target, options={**RECEIVED, **{key: value for key, value in target.options.items() if value}})


def build(path: Path, *, customers: int) -> None:
    """Make the shop's file. Of several who try at once, one file wins and stays. Raises `OSError`, `sqlite3.Error`."""
    handle, temporary = mkstemp(dir=path.parent, suffix=".part")
    os.close(handle)
    try:
        with closing(sqlite3.connect(temporary)) as connection, connection:
            for name, table in make_shop(datetime.now(UTC).date(), customers=customers).items():
                _add_table(connection, name, table)
        os.link(temporary, path)
    except FileExistsError:
        return
    finally:
        Path(temporary).unlink()


def _add_table(connection: sqlite3.Connection, name: str, table: ShopTable) -> None:
    key = next(iter(table.columns))
    columns = [f"{column} {_COLUMN_TYPES.get(type_, 'text')}" for column, type_ in table.columns.items()]
    connection.execute(f"create table {name} ({', '.join(columns)}, primary key ({key}))")
    places = ", ".join("?" * len(columns))
    connection.executemany(f"insert into {name} values ({places})", [list(map(_to_sqlite, row)) for row in table.rows])
    if "user_id" in table.columns:
        connection.execute(f"create index {name}_user_id on {name} (user_id)")


def _to_sqlite(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return float(value) if isinstance(value, Decimal) else value
