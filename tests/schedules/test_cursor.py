"""The change logs are read exactly once, whatever the order of commits."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from django.db import connection, transaction

from core.work import database
from schedules import cursor, payloads
from schedules.cursor import Taken
from tests.schedules.destinations import wait_for_horizon

pytestmark = pytest.mark.django_db(transaction=True)

WRITERS = 6
TRANSACTIONS = 60
LOG = (
    "insert into profile_change (profile_id, changes, cause)"
    " select gen_random_uuid(), '{}', %s from generate_series(1, %s)"
)


@pytest.fixture
def writer() -> Iterator[Any]:
    """Another connection to the same database."""
    with closing(connect()) as other:
        yield other


def connect() -> Any:
    return psycopg2.connect(**connection.get_connection_params())


def write(other: Any, *, rows: int = 1, cause: str = "test") -> None:
    with other.cursor() as statement:
        statement.execute(LOG, [cause, rows])


def take(mark: int, *, until: int | None = None, limit: int = 1000) -> tuple[Taken, set[Any]]:
    """One read, and the profiles it found."""
    with transaction.atomic(), connection.cursor() as statement:
        payloads.prepare()
        taken = cursor.take(mark, until=until, group_ids=[], limit=limit)
        statement.execute("select profile_id from export_candidate")
        return taken, {row[0] for row in statement.fetchall()}


def everything() -> set[Any]:
    with connection.cursor() as statement:
        statement.execute("select profile_id from profile_change")
        return {row[0] for row in statement.fetchall()}


def test_nothing_is_missed_and_nothing_taken_twice_under_six_writers_with_rollbacks() -> None:
    mark = cursor.read_horizon()

    def work(number: int) -> None:
        dice = random.Random(number)
        with closing(connect()) as other:
            for _ in range(TRANSACTIONS):
                for _ in range(dice.randrange(1, 4)):
                    write(other, rows=dice.randrange(1, 8))
                    with other.cursor() as statement:
                        statement.execute("select pg_sleep(%s)", [dice.random() * 0.01])
                (other.rollback if dice.random() < 0.2 else other.commit)()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    taken: Counter[Any] = Counter()
    reads = 0
    while any(thread.is_alive() for thread in threads):
        found, people = take(mark, limit=50)
        taken.update(people)
        mark, reads = found.mark, reads + bool(people)
    for thread in threads:
        thread.join()
    wait_for_horizon()
    more = True
    while more:
        found, people = take(mark, limit=50)
        taken.update(people)
        mark, more = found.mark, found.more
    assert set(taken) == everything()
    assert len(taken) > WRITERS * TRANSACTIONS
    assert max(taken.values()) == 1
    assert reads > 5


def test_a_transaction_that_commits_late_is_read_late(writer: Any) -> None:
    mark = cursor.read_horizon()
    write(writer, cause="late")
    with closing(connect()) as other:
        write(other)
        other.commit()
    found, people = take(mark)
    assert people == set()
    assert found.rows == 0
    writer.commit()
    wait_for_horizon()
    _, people = take(found.mark)
    assert people == everything()
    assert len(people) == 2


def test_what_is_written_while_a_run_reads_is_left_to_the_next(writer: Any) -> None:
    mark = cursor.read_horizon()
    for _ in range(3):
        write(writer, rows=2)
        writer.commit()
    wait_for_horizon()
    first, people = take(mark, limit=2)
    assert len(people) == 2
    assert first.more
    write(writer, rows=2)
    writer.commit()
    wait_for_horizon()
    second, more = take(first.mark, until=first.until)
    assert len(more) == 4
    assert not second.more
    _, rest = take(second.mark)
    assert len(rest) == 2
    assert people | more | rest == everything()


def test_a_transaction_is_never_split(writer: Any) -> None:
    mark = cursor.read_horizon()
    for rows in (3, 40, 3):
        write(writer, rows=rows)
        writer.commit()
    wait_for_horizon()
    sizes = []
    more = True
    while more:
        found, people = take(mark, limit=10)
        sizes.append(len(people))
        mark, more = found.mark, found.more
    assert [size for size in sizes if size] == [3, 40, 3]


def test_moves_of_other_groups_are_of_no_interest(writer: Any) -> None:
    mark = cursor.read_horizon()
    with writer.cursor() as statement:
        statement.execute(
            "insert into group_membership_change (group_id, profile_id, joined, cause)"
            " select n, gen_random_uuid(), true, 'test' from generate_series(1, 3) n"
        )
    writer.commit()
    wait_for_horizon()
    with transaction.atomic(), connection.cursor() as statement:
        payloads.prepare()
        found = cursor.take(mark, until=None, group_ids=[2])
        statement.execute("select count(*) from export_candidate")
        assert statement.fetchone() == (1,)
    assert not found.more


def test_an_open_transaction_that_wrote_is_named(writer: Any) -> None:
    with writer.cursor() as statement:
        statement.execute("set application_name = 'a forgotten shell'")
    write(writer)
    found = cursor.oldest_writer()
    assert found is not None
    assert found.pid == writer.get_backend_pid()
    assert found.application == "a forgotten shell"
    assert found.state == "idle in transaction"
    writer.rollback()


def test_a_database_is_known_by_its_server_timeline_and_number() -> None:
    parts = database.identify().split("/")
    assert len(parts) == 3
    assert all(part.isdigit() for part in parts)
    assert database.identify() == "/".join(parts)
