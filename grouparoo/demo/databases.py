"""The demo's two databases beside the product's own: `shop`, which it reads, and `newsletter`, to which it exports.

What is there already is never dropped or changed: a database of that name that is not the demo's own is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg2
from django.core.management.base import CommandError
from django.db import connection
from psycopg2 import sql
from psycopg2.extras import execute_values

from plugins.demo.shop import ShopTable, make_shop

CUSTOMERS = 3000
MARK = "Made by the Grouparoo demo"

_COUNTRIES = {
    "en-us": "United States", "en-gb": "United Kingdom", "de-de": "Germany", "fr-fr": "France", "es-es": "Spain",
    "pt-br": "Brazil", "ja-jp": "Japan",
}  # fmt: skip
_COLUMN_TYPES = {"integer": "integer", "boolean": "boolean", "money": "numeric(10, 2)", "date": "timestamptz"}
_INDEXED = {"carts": ("user_id", "updated_at"), "purchases": ("user_id", "created_at"), "refunds": ("user_id",)}


@dataclass(frozen=True, slots=True)
class Names:
    """What the databases are called on the product's server."""

    shop: str = "shop"
    newsletter: str = "newsletter"


def make_databases(names: Names, *, write: Callable[[str], None]) -> None:
    """Make what is missing of both databases. Raises CommandError where the server does not allow it."""
    for name in (names.shop, names.newsletter):
        _make_database(name)
    with closing(connect_to(names.shop)) as shop, shop, shop.cursor() as cursor:
        cursor.execute("select to_regclass('public.users')")
        if cursor.fetchone() == (None,):
            write(f"Filling the demo shop with {CUSTOMERS:,} customers.")
            _fill(cursor)


def connect_to(database: str) -> Any:
    """A plain connection to another database on the product's server."""
    return psycopg2.connect(**{**connection.get_connection_params(), "dbname": database})


def app_options(database: str) -> dict[str, Any]:
    """The options with which a `postgres` App reaches a database on the product's server."""
    with closing(connect_to(database)) as found:
        info = found.info
        options = {"host": info.host, "port": info.port, "database": info.dbname, "user": info.user}
        return {**options, "password": info.password} if info.password else options


def _make_database(name: str) -> None:
    with closing(connect_to(str(connection.settings_dict["NAME"]))) as server, server.cursor() as cursor:
        server.autocommit = True
        cursor.execute("select shobj_description(oid, 'pg_database') from pg_database where datname = %s", [name])
        found = cursor.fetchone()
        try:
            if found is None:
                cursor.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
            elif found == (MARK,):
                return
            else:
                _refuse_if_used(name)
            cursor.execute(sql.SQL("comment on database {} is %s").format(sql.Identifier(name)), [MARK])
        except psycopg2.errors.InsufficientPrivilege as error:
            raise CommandError(
                f"The demo needs a database “{name}” on the server of DATABASE_URL, and “{server.info.user}” may not"
                f" make it ({str(error).strip()}). Allow that with: alter role {server.info.user} createdb"
            ) from None


def _refuse_if_used(name: str) -> None:
    """An empty database may be taken: someone made it for the demo, or an earlier start was stopped right there."""
    with closing(connect_to(name)) as found, found.cursor() as cursor:
        cursor.execute("select count(*) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')")
        (tables,) = cursor.fetchone()
    if tables:
        raise CommandError(
            f"There is a database “{name}” on this server that is not the demo's: it was left alone. Rename it, or"
            " start the demo on another server (without DATABASE_URL it brings its own)."
        )


# ---------------------------------------------------------------- the shop's tables


def _fill(cursor: Any) -> None:
    """All tables with their rows, in the caller's transaction: a start that is stopped leaves none of them."""
    for name, table in make_shop(datetime.now(UTC).date(), customers=CUSTOMERS).items():
        types, rows = _as_stored(name, table)
        columns = ", ".join(f"{column} {type_}" for column, type_ in types.items())
        cursor.execute(f"create table {name} ({columns}, primary key (id))")
        execute_values(cursor, f"insert into {name} values %s", rows, page_size=1000)
        for column in _INDEXED.get(name, ("updated_at",)):
            cursor.execute(f"create index on {name} ({column}, id)")
        cursor.execute(f"analyze {name}")


def _as_stored(name: str, table: ShopTable) -> tuple[Mapping[str, str], list[tuple[Any, ...]]]:
    """The types and rows of a table: users with a country, carts with items under the event's name."""
    types = {column: _COLUMN_TYPES.get(type_, "text") for column, type_ in table.columns.items()}
    rows = list(table.rows)
    if name == "users":
        place = list(types).index("locale")
        return {**types, "country": "text"}, [(*row, _COUNTRIES[row[place]]) for row in rows]
    if name == "carts":
        named = {("cart_items" if column == "items" else column): type_ for column, type_ in types.items()}
        return {**named, "cart_items": "jsonb"}, rows
    return types, rows
