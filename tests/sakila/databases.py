"""The Sakila sample database on a server, and what connects to it: as a source, and as a destination beside it."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILES = Path(__file__).resolve().parent.parent / "data" / "sakila"

_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "customer": {
        "customer_id": "integer primary key", "store_id": "integer", "first_name": "varchar(45)",
        "last_name": "varchar(45)", "email": "varchar(50)", "address_id": "integer", "activebool": "boolean",
        "create_date": "date", "last_update": "TIME", "active": "integer",
    },
    "rental": {
        "rental_id": "integer primary key", "rental_date": "TIME", "inventory_id": "integer",
        "customer_id": "integer", "return_date": "TIME", "staff_id": "integer", "last_update": "TIME",
    },
    "payment": {
        "payment_id": "integer primary key", "customer_id": "integer", "staff_id": "integer",
        "rental_id": "integer", "amount": "numeric(5, 2)", "payment_date": "TIME",
    },
}  # fmt: skip
_TIME = {"postgres": "timestamp", "mysql": "datetime", "sqlite": "timestamp"}
_ROWS_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Database:
    """One database: the options of an App that reaches it, and a plain connection of the test's own."""

    app_type: str
    options: Mapping[str, Any]
    connect: Callable[[], Any]

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with closing(self.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(query)
            return [tuple(row) for row in cursor.fetchall()]

    def load(self) -> None:
        """Make the tables and fill them from the files."""
        with closing(self.connect()) as connection:
            cursor = connection.cursor()
            for table, columns in _COLUMNS.items():
                types = ", ".join(f"{name} {type_}" for name, type_ in columns.items())
                cursor.execute(f"create table {table} ({types.replace('TIME', _TIME[self.app_type])})")
                for rows in _read(table):
                    place = "?" if self.app_type == "sqlite" else "%s"
                    one = f"({', '.join([place] * len(columns))})"
                    values = [value for row in rows for value in row]
                    cursor.execute(f"insert into {table} values {', '.join([one] * len(rows))}", values)
            for table in ("rental", "payment"):
                cursor.execute(f"create index {table}_customer on {table} (customer_id)")
            connection.commit()


def _read(table: str) -> list[list[list[Any]]]:
    """The rows of a file, in the order of the columns, some at a time."""
    with (FILES / f"{table}.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        rows = [[_value(row[name], name) for name in _COLUMNS[table]] for row in reader]
    return [rows[start : start + _ROWS_AT_ONCE] for start in range(0, len(rows), _ROWS_AT_ONCE)]


def _value(text: str, column: str) -> Any:
    if column == "activebool":
        return text == "t"
    return int(text) if text and (column.endswith("_id") or column == "active") else text or None
