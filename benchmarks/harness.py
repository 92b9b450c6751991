"""What every benchmark shares: databases of its own, real worker processes, the report, and its checks."""

from __future__ import annotations

import resource
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
from django.db import connection
from psycopg2 import sql

from core.accounts import project
from core.lib.processes import ProcessGroup
from grouparoo.running import beat_command, process_env, web_command, worker_command
from grouparoo.settings import DATABASE_URL, REDIS_URL
from profiles import ruleset

_ADDRESS = ("host", "port", "user", "password")


@dataclass(slots=True)
class Report:
    """What one benchmark says; without failed checks the result was verified and is right.

    `peak_rss_mb` is the largest process of the product, where it ran in processes of its own.
    """

    name: str
    profiles: int
    seconds: float
    limit_seconds: float | None = None
    peak_rss_mb: float | None = None
    failed_checks: list[str] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)

    def check(self, holds: bool, what: str) -> None:
        """Note `what` as failed unless it holds."""
        if not holds:
            self.failed_checks.append(what)

    def as_json(self) -> dict[str, Any]:
        """The object that is printed last with --json."""
        limit = self.limit_seconds
        return {
            "name": self.name,
            "profiles": self.profiles,
            "seconds": round(self.seconds, 3),
            "per_second": round(self.profiles / self.seconds) if self.seconds else None,
            "limit_seconds": None if limit is None else round(limit, 3),
            "ratio_to_limit": None if not limit else round(self.seconds / limit, 2),
            "peak_rss_mb": None if self.peak_rss_mb is None else round(self.peak_rss_mb),
            "checks_passed": not self.failed_checks,
            "failed_checks": self.failed_checks,
            "detail": self.detail,
        }


def largest_worker_mb() -> float:
    """The largest process so far of those that this one started and that have ended; it holds what it compares."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def median_of(count: int, measure: Callable[[], float]) -> float:
    """The median of several measurements."""
    return statistics.median(measure() for _ in range(count))


@contextmanager
def other_database(suffix: str) -> Iterator[str]:
    """A further database on the product's server, dropped afterwards: its name."""
    name = f"{connection.settings_dict['NAME']}_{suffix}"
    _on_server(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
    _on_server(sql.SQL("create database {}").format(sql.Identifier(name)))
    try:
        yield name
    finally:
        _on_server(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def empty_product() -> None:
    """Take every row out of the product's tables, as after its first migration."""
    kept = ("django_migrations", "django_content_type", "auth_permission")
    with connection.cursor() as cursor:
        cursor.execute(
            "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')"
            " and not relispartition and relname <> all(%s)",
            [list(kept)],
        )
        names = sql.SQL(", ").join(sql.Identifier(row[0]) for row in cursor.fetchall())
        cursor.execute(sql.SQL("truncate {}").format(names))
    project.forget()
    ruleset.forget()


def connect_to(database: str) -> Any:
    """A plain connection to a database on the product's server."""
    given = connection.get_connection_params()
    return psycopg2.connect(**{key: given[key] for key in _ADDRESS if key in given}, dbname=database)


def app_options(database: str) -> dict[str, Any]:
    """The options of a `postgres` App for a database on the product's server."""
    given = connection.get_connection_params()
    return {
        "host": given.get("host", "localhost"),
        "port": int(given.get("port") or 5432),
        "database": database,
        "user": given.get("user", ""),
        "password": given.get("password", ""),
    }


@contextmanager
def indexes_afterwards(tables: Sequence[str]) -> Iterator[None]:
    """These tables get their indexes, but those of constraints, when all rows are there: far quicker."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select indexrelid::regclass::text, replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ')"
            " from pg_index join pg_class c on c.oid = indrelid where c.relname = any(%s) and not indisunique",
            [list(tables)],
        )
        indexes = cursor.fetchall()
        cursor.execute("set synchronous_commit = off")
        for name, _ in indexes:
            cursor.execute(f"drop index {name}")
    yield
    with connection.cursor() as cursor:
        cursor.execute("set maintenance_work_mem = '1GB'")
        for _, made in indexes:
            cursor.execute(made)


@contextmanager
def workers(count: int) -> Iterator[None]:
    """Real Celery workers and beat on this benchmark's database; they are ready when the block begins."""
    env = process_env("bench", database_url=DATABASE_URL, redis_url=REDIS_URL)
    with tempfile.TemporaryDirectory() as folder, ProcessGroup() as group:
        log = Path(folder) / "worker.log"
        with log.open("wb") as output:
            group.start([*worker_command(processes=count), "--loglevel", "INFO"], env=env, output=output)
            group.start(beat_command(), env=env, output=output)
        wait_for(lambda: " ready." in log.read_text(errors="replace"), what="the workers to be ready", within=60)
        yield


@contextmanager
def web_server(*, processes: int) -> Iterator[int]:
    """A real web server on this benchmark's database, without limits for callers: its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    env = process_env("bench-web", database_url=DATABASE_URL, redis_url=REDIS_URL)
    env |= {"API_REQUESTS_PER_MINUTE": "0", "INBOX_LIMIT": "100000000"}
    with tempfile.TemporaryDirectory() as folder, ProcessGroup() as group:
        with (Path(folder) / "web.log").open("wb") as output:
            group.start(web_command(host="127.0.0.1", port=port, processes=processes), env=env, output=output)
        wait_for(lambda: _answers(port), what="the web server", within=60)
        yield port


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def wait_for(is_so: Callable[[], bool], *, what: str, within: float, every: float = 0.1) -> None:
    """Poll until `is_so()`; raises TimeoutError after `within` seconds."""
    deadline = time.monotonic() + within
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {within:.0f} s for {what}")
        time.sleep(every)


def run_sql(connection_: Any, *statements: str, args: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run statements and commit; the rows of the last one."""
    with connection_.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, args or None)
        rows = cursor.fetchall() if cursor.description else []
    connection_.commit()
    return list(rows)


def _on_server(statement: sql.Composable) -> None:
    admin = connect_to("postgres")
    try:
        admin.autocommit = True
        with admin.cursor() as cursor:
            cursor.execute(statement)
    finally:
        admin.close()
