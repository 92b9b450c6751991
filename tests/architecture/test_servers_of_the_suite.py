"""The servers that the suite itself runs on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import psycopg2
import pytest
from django.db import connection

from tests.mariadb import MariaDB


@pytest.mark.django_db
def test_the_database_is_a_postgresql_that_the_product_supports() -> None:
    with connection.cursor() as cursor:
        cursor.execute("select current_setting('server_version_num')::int")
        assert cursor.fetchone()[0] >= 150000


def test_another_database_of_the_server_has_a_url(postgres_server: Callable[[str], str]) -> None:
    with closing(psycopg2.connect(postgres_server("postgres"))) as other:
        assert other.info.dbname == "postgres"


def test_a_worker_takes_tasks(start_worker: Callable[..., int]) -> None:
    assert start_worker() > 0


@pytest.mark.mariadb
def test_mariadb_answers(mariadb: MariaDB) -> None:
    mariadb.create_database("try")
    with closing(mariadb.connect("try")) as other, other.cursor() as cursor:
        cursor.execute("select version()")
        assert "MariaDB" in cursor.fetchone()[0]
