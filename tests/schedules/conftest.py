"""The shop that import tests read from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg2
import pytest

from apps_connectors import connections
from tests.schedules.shop import DATABASE, USERS, Shop


@pytest.fixture(scope="session")
def shop_database(postgres_server: Callable[[str], str]) -> Iterator[Shop]:
    """An empty database of the shop's own."""
    with closing(psycopg2.connect(postgres_server("postgres"))) as server:
        server.autocommit = True
        with server.cursor() as cursor:
            cursor.execute(f"drop database if exists {DATABASE} with (force)")
            cursor.execute(f"create database {DATABASE}")
            yield Shop(postgres_server(DATABASE))
            connections.close_all()
            cursor.execute(f"drop database {DATABASE} with (force)")


@pytest.fixture
def shop(shop_database: Shop, transactional_db: None) -> Iterator[Shop]:
    """The shop with an empty table of users."""
    shop_database.run(USERS)
    yield shop_database
    connections.close_all()
