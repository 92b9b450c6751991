"""A shop to import from, on the suite's own PostgreSQL, and the steps of a worker, one page at a time."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
from django.db.models.functions import Now

from apps_connectors import apps_store
from apps_connectors.models import App
from core.accounts.actors import SYSTEM
from core.work import leases
from core.work.leases import Lease
from core.work.models import Work
from profiles.models import Profile
from profiles.rules import NewRule, create_rule
from schedules import importing, runs, schedules_store
from schedules.models import Run, RunState, Schedule
from schedules.schedules_store import ScheduleData

DATABASE = f"shop_of_imports_{os.getpid()}"  # several suites may share a server
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PEOPLE = {"id": "user_id", "email": "email", "first_name": "first_name"}
USERS = """
    drop table if exists users;
    create table users (id int primary key, email text, first_name text, changed_at timestamptz)
"""


@dataclass
class Shop:
    """The shop's database, and what connects to it."""

    url: str
    dsn: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.dsn = psycopg2.extensions.parse_dsn(self.url)

    def run(self, sql: str, *values: Any) -> None:
        """Run and commit statements."""
        with closing(psycopg2.connect(self.url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(sql, values or None)

    def app(self, name: str = "Warehouse") -> App:
        """The App that reads the shop."""
        options = {
            "host": self.dsn.get("host", "localhost"),
            "port": int(self.dsn.get("port", 5432)),
            "database": self.dsn["dbname"],
            "user": self.dsn.get("user", "postgres"),
        }
        if self.dsn.get("password"):
            options["password"] = self.dsn["password"]
        return apps_store.create_app("postgres", name, options, actor=SYSTEM)

    def add_users(self, count: int, *, first: int = 1, at: datetime = NOON, apart: float = 1.0) -> None:
        """People 1, 2, ...: each changed `apart` seconds after the one before."""
        self.run(
            "insert into users select n, 'person' || n || '@example.com', 'Alice', %s + (n - %s) * %s * interval '1s'"
            " from generate_series(%s, %s) n",
            *(at, first, apart, first, first + count - 1),
        )


def make_rules() -> None:
    """user_id and email say who someone is; first_name comes with the rows."""
    create_rule(NewRule(key="user_id", type="integer", is_unique=True), actor=SYSTEM)
    create_rule(NewRule(key="email", type="email", is_unique=True), actor=SYSTEM)
    create_rule(NewRule(key="first_name", type="string"), actor=SYSTEM)


def users_schedule(app: App, *, fields: Mapping[str, str] = PEOPLE, name: str = "users", **more: Any) -> Schedule:
    """Reads the table of users by its changed-at column, by hand."""
    options = {"table": "users", "changed_column": "changed_at", "id_column": "id", **more.pop("options", {})}
    data = ScheduleData(direction="import", name=name, app_id=app.pk, options=options, fields=fields, **more)
    return schedules_store.create_schedule(data, actor=SYSTEM)


def start(schedule: Schedule, **more: Any) -> Run:
    """Start a run of it now."""
    return runs.start_run(schedule.pk, trigger="person:1", actor=SYSTEM, **more)


def finish(run: Run) -> Run:
    """Let one worker work until the run has ended."""
    for _ in range(20):
        importing.work_slice()
        run = Run.objects.select_related("work", "schedule").get(pk=run.pk)
        if run.state not in runs.UNFINISHED:
            return run
    raise AssertionError(f"the run is still {run.state}: {run.work.error}")


def import_all(schedule: Schedule) -> Run:
    """Start a run, let it end well."""
    run = finish(start(schedule))
    assert run.state == RunState.COMPLETE, run.error
    return run


class AtOnce(Executor):
    """Reads ahead in the same thread, so that an abandoned worker leaves no thread behind."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Do it now."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  (whatever it is belongs to whoever asks for the result)
            future.set_exception(error)
        return future


class Worker:
    """A worker that can be stopped between two pages, as a kill would."""

    def __init__(self) -> None:
        lease = leases.claim("import")
        assert lease is not None, "nothing to claim"
        self.lease: Lease = lease
        self.step = importing._Worker(AtOnce())

    def take_page(self) -> bool:
        """Take one page; whether there is another."""
        return self.step(self.lease)


def let_leases_run_out() -> None:
    """As a minute does for the lease of a worker that was killed, or the backoff of one that failed."""
    Work.objects.filter(state="running").update(lease_until=Now() - timedelta(seconds=1), next_at=Now())


def names(key: str = "user_id") -> list[Any]:
    """Everyone's value of a property, in order."""
    found = Profile.objects.values_list(f"properties__{key}", flat=True)
    return sorted(value for value in found if value is not None)


def counters(run: Run, *keys: str) -> Sequence[int]:
    """These counters of a run."""
    return [run.counters.get(key, 0) for key in keys]
