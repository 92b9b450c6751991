"""Databases for the SQL plugins, one of each kind, empty at the start of the session, and a `Shop` on each of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg2
import pytest

from plugins.mysql import Mysql
from plugins.postgres import Postgres
from plugins.sqlite import Sqlite
from tests.mariadb import MariaDB

DATABASE = "sql_plugins"


@dataclass(frozen=True)
class Shop:
    """One database of one kind, with the App type that reads it."""

    kind: str
    app_type: type[Any]
    options: dict[str, Any]
    run: Callable[..., list[tuple[Any, ...]]]  # (statement, values=(), many=()) as an administrator, committed

    def connect(self, **changes: Any) -> Any:
        """A new instance of the App."""
        return self.app_type({**self.options, **changes})

    def fill(self, table: str, columns: str, rows: Sequence[Sequence[Any]] = (), *, key: str = "") -> None:
        """Make the table anew, with these rows."""
        self.run(f"drop table if exists {table}")
        self.run(f"create table {table} ({columns}{f', primary key ({key})' if key else ''})")
        place = "?" if self.kind == "sqlite" else "%s"
        if rows:
            self.run(f"insert into {table} values ({', '.join([place] * len(rows[0]))})", many=rows)


def _run_with(connect: Callable[[], Any]) -> Callable[..., list[tuple[Any, ...]]]:
    def run(statement: str, values: Sequence[Any] = (), *, many: Sequence[Sequence[Any]] = ()) -> list[tuple[Any, ...]]:
        with closing(connect()) as connection, closing(connection.cursor()) as cursor:
            if many:
                cursor.executemany(statement, many)
            else:
                cursor.execute(statement, values) if values else cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    return run


def postgres_options(url: str) -> dict[str, Any]:
    """The App's options for a server's URL, whether it names a host or a socket's folder."""
    parts = urlsplit(url)
    host = parts.hostname or dict(pair.split("=", 1) for pair in parts.query.split("&") if pair).get("host", "")
    return {
        "host": unquote(host),
        "port": parts.port or 5432,
        "database": parts.path.lstrip("/"),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
    }


def _connect_postgres(options: dict[str, Any], database: str) -> Any:
    connection = psycopg2.connect(
        host=options["host"],
        port=options["port"],
        dbname=database,
        user=options["user"],
        password=options["password"] or None,
    )
    connection.autocommit = True
    return connection


@pytest.fixture(scope="session")
def postgres_shop(postgres_server: Callable[[str], str], worker_id: str) -> Iterator[Shop]:
    """A PostgreSQL database."""
    name = f"{DATABASE}_{worker_id}"
    options = {**postgres_options(postgres_server("postgres")), "database": name}
    administer = _run_with(lambda: _connect_postgres(options, "postgres"))
    administer(f"drop database if exists {name} with (force)")
    administer(f"create database {name}")
    yield Shop("postgres", Postgres, options, _run_with(lambda: _connect_postgres(options, name)))
    administer(f"drop database {name} with (force)")


@pytest.fixture(scope="session")
def mysql_shop(mariadb: MariaDB, worker_id: str) -> Shop:
    """A MariaDB database."""
    name = f"{DATABASE}_{worker_id}"
    mariadb.create_database(name)
    options = {
        "host": mariadb.host,
        "port": mariadb.port,
        "database": name,
        "user": mariadb.user,
        "password": mariadb.password,
    }
    return Shop("mysql", Mysql, options, _run_with(lambda: mariadb.connect(name)))


@pytest.fixture(scope="session")
def sqlite_shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A SQLite file."""
    path = tmp_path_factory.mktemp("sqlite") / "shop.sqlite"
    sqlite3.connect(path).close()
    return Shop("sqlite", Sqlite, {"path": str(path)}, _run_with(lambda: _connect_sqlite(path)))


def _connect_sqlite(path: Path) -> Any:
    return sqlite3.connect(path, isolation_level=None)


@pytest.fixture(
    params=["postgres", pytest.param("mysql", marks=pytest.mark.mariadb), "sqlite"],
)
def shop(request: pytest.FixtureRequest) -> Shop:
    """Each kind in turn."""
    found: Shop = request.getfixturevalue(f"{request.param}_shop")
    return found
