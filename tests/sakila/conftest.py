"""Sakila on three servers, loaded once for the suite, and an empty destination of each kind."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from apps_connectors import connections
from tests.mariadb import MariaDB
from tests.sakila.databases import Database


@pytest.fixture(scope="session")
def in_postgres(postgres_server: Callable[[str], str]) -> Iterator[Callable[[str], Database]]:
    """Return a function that makes an empty PostgreSQL database."""
    made: list[str] = []

    def make(name: str) -> Database:
        name = f"{name}_{os.getpid()}"
        run(f"drop database if exists {name} with (force)")
        run(f"create database {name}")
        made.append(name)
        dsn = psycopg2.extensions.parse_dsn(postgres_server(name))
        given: dict[str, Any] = {"host": dsn.get("host", "localhost"), "port": int(dsn.get("port", 5432))}
        given |= {"database": name, "user": dsn.get("user", "postgres"), "password": dsn.get("password", "")}
        return Database("postgres", given, lambda: psycopg2.connect(postgres_server(name)))

    def run(statement: str) -> None:
        with closing(psycopg2.connect(postgres_server("postgres"))) as server, server.cursor() as cursor:
            server.autocommit = True
            cursor.execute(statement)

    yield make
    for name in made:
        run(f"drop database if exists {name} with (force)")


@pytest.fixture(scope="session")
def in_mariadb(request: pytest.FixtureRequest) -> Callable[[str], Database]:
    """Return a function that makes an empty MariaDB database."""

    def make(name: str) -> Database:
        server: MariaDB = request.getfixturevalue("mariadb")
        server.create_database(name)
        options = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
        return Database("mysql", {**options, "database": name}, lambda: server.connect(name))

    return make


@pytest.fixture(scope="session")
def sakila_in(
    in_postgres: Callable[[str], Database],
    in_mariadb: Callable[[str], Database],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Database]:
    """Return a function that gives Sakila in a database of one kind, loaded at the first call."""
    loaded: dict[str, Database] = {}

    def in_sqlite(name: str) -> Database:
        path = tmp_path_factory.mktemp(name) / "sakila.sqlite"
        with closing(sqlite3.connect(path)):
            return Database("sqlite", {"path": str(path)}, lambda: sqlite3.connect(path))

    make = {"postgres": in_postgres, "mysql": in_mariadb, "sqlite": in_sqlite}

    def give(kind: str) -> Database:
        if kind not in loaded:
            database = make[kind]("sakila")
            database.load()
            loaded[kind] = database
        return loaded[kind]

    return give


@pytest.fixture(params=["postgres", pytest.param("mysql", marks=pytest.mark.mariadb), "sqlite"])
def sakila(
    request: pytest.FixtureRequest, sakila_in: Callable[[str], Database], transactional_db: None
) -> Iterator[Database]:
    """The source, each kind of database in turn."""
    yield sakila_in(request.param)
    connections.close_all()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where CSV files are exported to."""
    found = tmp_path / "exports"
    found.mkdir()
    return found
