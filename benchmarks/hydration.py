"""`hydration`: three templated query rules for N profiles, on PostgreSQL and on MariaDB where it is installed.

The plugin is asked as the pipeline asks it, a thousand profiles at a time; the limit is a join written by hand that
fetches the same thousand. How long one join over the whole tables takes is told beside it. At most one statement per
App and thousand profiles.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.customers import fill_source
from benchmarks.harness import Report, app_options, connect_to, median_of, other_database, run_sql
from plugins.base import RetrievesProperties
from plugins.contracts import QueryAsk, Retrieval
from plugins.mysql import Mysql
from plugins.postgres import Postgres
from tests.mariadb import start_mariadb

BATCH = 1000
RUNS = 3
MOST_TIMES_THE_JOIN = 2.0

_VARIABLES = {"user_id": "integer"}
ASKS = (
    QueryAsk("first_name", "select first_name from customers where id = {{profile.user_id}}", _VARIABLES),
    QueryAsk("ltv", "select sum(total) from purchases where customer_id = {{profile.user_id}}", _VARIABLES),
    QueryAsk(
        "last_purchase", "select max(bought_at) from purchases where customer_id = {{profile.user_id}}", _VARIABLES
    ),
)
_JOIN = """
    select c.id, c.first_name, p.ltv, p.last_purchase
      from customers c
      left join (select customer_id, sum(total) ltv, max(bought_at) last_purchase
                   from purchases {those} group by customer_id) p on p.customer_id = c.id
     {these} order by c.id"""
_WHOLE = _JOIN.format(those="", these="")
_BY_BATCH = _JOIN.format(those="where customer_id in %s", these="where c.id in %s")

Row = tuple[Any, ...]
Join = Callable[[str, Sequence[Any]], list[Row]]


def run(profiles: int) -> Report:
    """Run it on each server; see the module's text. The report's own figures are PostgreSQL's."""
    with other_database("shop") as shop:
        source = connect_to(shop)
        fill_source(source, profiles)
        with Postgres(app_options(shop)) as app:
            seconds, limit, detail, failed = _compare(
                app, profiles, lambda statement, args: run_sql(source, statement, args=args)
            )
        source.close()
    report = Report("hydration", profiles, seconds, limit, failed_checks=failed, detail={"postgres": detail})
    program, installer = (
        shutil.which(name, path="/usr/sbin:/usr/bin:/bin") for name in ("mariadbd", "mariadb-install-db")
    )
    if program and installer:
        with _mariadb_shop(program, installer, profiles) as (app, join):
            _, _, detail, failed = _compare(app, profiles, join)
        report.detail["mariadb"] = detail
        report.failed_checks += [f"MariaDB: {what}" for what in failed]
    else:
        report.detail["mariadb"] = "not installed: make system"
    return report


def _compare(app: RetrievesProperties, profiles: int, join: Join) -> tuple[float, float, dict[str, Any], list[str]]:
    """Seconds of ours and of the join, both medians, with the result checked value by value."""
    rows = [{"user_id": number} for number in range(1, profiles + 1)]
    last: list[Retrieval] = []

    def ours() -> float:
        last.clear()
        started = time.perf_counter()
        last.extend(app.retrieve(ASKS, rows[start : start + BATCH]) for start in range(0, profiles, BATCH))
        return time.perf_counter() - started

    def by_batch() -> float:
        started = time.perf_counter()
        for start in range(1, profiles + 1, BATCH):
            keys = tuple(range(start, min(start + BATCH, profiles + 1)))
            join(_BY_BATCH, [keys, keys])
        return time.perf_counter() - started

    def whole() -> float:
        started = time.perf_counter()
        join(_WHOLE, ())
        return time.perf_counter() - started

    seconds, limit, at_once = median_of(RUNS, ours), median_of(RUNS, by_batch), median_of(RUNS, whole)
    statements = sum(len(retrieval.statements) for retrieval in last)
    batches = -(-profiles // BATCH)
    failed = []
    if statements > batches:
        failed.append(f"{statements} statements for {batches} batches")
    if seconds > limit * MOST_TIMES_THE_JOIN:
        failed.append(f"{seconds / limit:.2f} times the hand-written join")
    if _differences(last, join(_WHOLE, ())):
        failed.append("the values differ from those of the join")
    detail = {
        "seconds": round(seconds, 3),
        "per_second": round(profiles / seconds),
        "join_seconds": round(limit, 3),
        "ratio": round(seconds / limit, 2),
        "join_of_whole_tables_seconds": round(at_once, 3),
        "statements": statements,
    }
    return seconds, limit, detail, failed


def _differences(retrievals: list[Retrieval], expected: list[Row]) -> int:
    found: list[Row] = []
    for retrieval in retrievals:
        answers = {answer.rule: answer.values for answer in retrieval.answers}
        found.extend(zip(*(answers[ask.rule] for ask in ASKS), strict=True))
    return sum(_plain(ours) != _plain(theirs[1:]) for ours, theirs in zip(found, expected, strict=True))


def _plain(row: Row) -> Row:
    name, total, at = row
    return name, round(float(total), 2), at.replace(tzinfo=None) if hasattr(at, "replace") else at


@contextmanager
def _mariadb_shop(program: str, installer: str, profiles: int) -> Iterator[tuple[RetrievesProperties, Join]]:
    """The same customers in a MariaDB server of the benchmark's own."""
    with start_mariadb(program, installer=installer) as server:
        server.create_database("shop")
        server.run("shop", _mariadb_statements(profiles))
        plain = server.connect("shop")

        def join(statement: str, args: Sequence[Any]) -> list[Row]:
            with plain.cursor() as cursor:
                cursor.execute(statement, args or None)
                return list(cursor.fetchall())

        options = {
            "host": server.host,
            "port": server.port,
            "database": "shop",
            "user": server.user,
            "password": server.password,
        }
        with Mysql(options) as app:
            yield app, join
        plain.close()


def _mariadb_statements(profiles: int) -> list[str]:
    return [
        "create table customers (id bigint primary key, first_name varchar(50))",
        """
        create table purchases (
            id bigint auto_increment primary key, customer_id bigint, total decimal(10, 2), bought_at datetime,
            key (customer_id)
        )
        """,
        f"""
        insert into customers select seq, elt(1 + seq mod 5, 'Alice', 'Bob', 'Charlie', 'Dana', 'Erin')
        from seq_1_to_{profiles}
        """,
        f"""
        insert into purchases (customer_id, total, bought_at)
        select c.seq, round(((c.seq * 37 + k.seq * 11) mod 20000) / 100.0, 2),
            timestamp '2025-01-01 00:00:00' + interval ((c.seq + k.seq) mod 500) day
        from seq_1_to_{profiles} c, seq_1_to_3 k
        """,
        "analyze table customers, purchases",
    ]
