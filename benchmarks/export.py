"""`export`: the N members of a group to a PostgreSQL table, by one worker; then again, with nothing changed.

The profiles are written straight into a database that knows no statistics yet, as after a first import. The limit is a
COPY of the same rows into a table of the same columns. Then a run that finds nothing new, and one that compares
everyone anew (as after a change of the mapping): neither may send anything.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

from django.db import connection

from apps_connectors import apps_store
from benchmarks.harness import Report, app_options, connect_to, largest_worker_mb, other_database, run_sql, workers
from benchmarks.pipeline import finish_run
from core.accounts.actors import SYSTEM
from groups.models import Group, GroupKind
from profiles.rules import NewRule, create_rule
from schedules import schedules_store
from schedules.models import ExportCursor, Run, Schedule
from schedules.schedules_store import ScheduleData

_LEAST_PER_SECOND = 12_000
_MOST_UNCHANGED_SECONDS = 5.0
_SMALL = 50_000  # below it the wait for a worker and the run's first steps are most of the time

# property key, its type, SQL of its value for person n, the column it goes to
_FIELDS: tuple[tuple[str, str, str, str], ...] = (
    ("user_id", "integer", "n", "id"),
    ("email", "email", "'person' || n || '@example.com'", "email"),
    ("first_name", "string", "(array['Alice', 'Bob', 'Charlie'])[1 + n % 3]", "first_name"),
    ("age", "integer", "18 + n % 70", "age"),
    ("ltv", "float", "round((n % 100000) / 7.0, 2)", "ltv"),
    ("is_vip", "boolean", "n % 3 = 0", "is_vip"),
    ("visits", "integer", "n % 1000", "visits"),  # converted to text
    ("seen_at", "date", "'2026-01-01T00:00:' || lpad((n % 60)::text, 2, '0') || '.000000Z'", "seen_at"),
)
_TABLE = (
    "create table {} (id bigint primary key, email text, first_name text, age bigint, ltv double precision,"
    " is_vip boolean, visits text, seen_at timestamptz)"
)
_UNSENT = ", ".join(f"'other {number}', n % {number}" for number in range(2, 14))  # properties that stay at home
_WRITE_PROFILES = f"""
    insert into profile (guid, properties, property_meta, created_at, updated_at)
    select (lpad(to_hex(1767225600000 + n), 12, '0') || '7' || substr(md5(n::text), 1, 3) || 'b'
            || substr(md5(n::text), 4, 15))::uuid,
           jsonb_build_object({", ".join(f"'{key}', {value}" for key, _, value, _ in _FIELDS)}, {_UNSENT}),
           '{{}}', now(), now()
      from generate_series(1, %s) n"""
_SUM = "select count(*), sum(hashtextextended(concat_ws('|', {}), 0)) from {}"
_EXPECTED = ", ".join(f"({value})::{kind}" for value, kind in (
    ("properties ->> 'user_id'", "bigint"), ("properties ->> 'email'", "text"), ("properties ->> 'first_name'", "text"),
    ("properties ->> 'age'", "bigint"), ("properties ->> 'ltv'", "double precision"),
    ("properties ->> 'is_vip'", "boolean"), ("properties ->> 'visits'", "text"),
    ("properties ->> 'seen_at'", "timestamptz"),
))  # fmt: skip


def run(profiles: int) -> Report:
    """Run it once; see the module's text. The report's seconds are those of the first export."""
    with other_database("out") as out:
        target = connect_to(out)
        make_table(target)
        group = make_members(profiles)
        schedule = make_export(out, group)
        with workers(1):
            first, seconds = _timed(lambda: finish_run(schedule, within=profiles / 100 + 120))
            before = _versions(target)
            again, unchanged = _timed(lambda: finish_run(schedule, within=profiles / 100 + 120))
            ExportCursor.objects.filter(schedule=schedule).delete()
            anew, compared = _timed(lambda: finish_run(schedule, within=profiles / 100 + 120))
        report = Report("export", profiles, seconds, _copy_bare(target), largest_worker_mb())
        report.detail = {
            "first_per_second": round(profiles / seconds),
            "first_run_seconds": _lasted(first),
            "unchanged_seconds": round(unchanged, 2),
            "unchanged_sent": again.counters.get("sent", 0) + anew.counters.get("sent", 0),
            "compared_anew_seconds": round(compared, 2),
            "compared_anew_run_seconds": _lasted(anew),
        }
        _verify(report, target, before)
        report.check(anew.counters.get("unchanged") == profiles, f"compared anew: {anew.counters}")
        report.check(unchanged < _MOST_UNCHANGED_SECONDS, f"{unchanged:.1f} s with nothing changed, wanted less than 5")
        rate = profiles / seconds
        if profiles >= _SMALL:
            report.check(rate >= _LEAST_PER_SECOND, f"{rate:.0f} a second, wanted at least {_LEAST_PER_SECOND}")
        target.close()
    return report


def make_table(target: Any) -> None:
    """The table `people` of the destination, empty."""
    run_sql(target, _TABLE.format("people"), "set timezone = 'UTC'")


def make_members(count: int) -> Group:
    for key, type_, _, _ in _FIELDS:
        create_rule(NewRule(key, type_, is_unique=key in ("user_id", "email")), actor=SYSTEM)
    group = Group.objects.create(name="Members", kind=GroupKind.MANUAL)
    with connection.cursor() as cursor:
        cursor.execute(_WRITE_PROFILES.replace(" % ", " %% "), [count])
        cursor.execute(
            "insert into group_member (group_id, profile_id, created_at) select %s, guid, now() from profile",
            [group.pk],
        )
    return group


def make_export(database: str, group: Group) -> Schedule:
    app = apps_store.create_app("postgres", "Destination", app_options(database), actor=SYSTEM)
    return schedules_store.create_schedule(
        ScheduleData(
            direction="export",
            name="Destination: people",
            app_id=app.pk,
            options={"table": "people", "key_field": "id"},
            fields={column: key for key, _, _, column in _FIELDS},
            groups={group.pk: group.name},
        ),
        actor=SYSTEM,
    )


def _timed(work: Callable[[], Run]) -> tuple[Run, float]:
    started = time.perf_counter()
    done = work()
    return done, time.perf_counter() - started


def _lasted(done: Run) -> float:
    """Seconds from the moment a worker took a run until its end."""
    if done.started_at is None or done.finished_at is None:
        raise RuntimeError(f"run {done.pk} has no times")
    return round((done.finished_at - done.started_at).total_seconds(), 2)


def _copy_bare(target: Any) -> float:
    run_sql(target, _TABLE.format("bare"))
    buffer = io.StringIO()
    with target.cursor() as cursor:
        cursor.copy_expert("copy people to stdout", buffer)
        buffer.seek(0)
        started = time.perf_counter()
        cursor.copy_expert("copy bare from stdin", buffer)
        target.commit()
    return time.perf_counter() - started


def _versions(target: Any) -> Any:
    """Which version of each row is there: another after anything is written."""
    return run_sql(target, _SUM.format("ctid, xmin", "people"))


def _verify(report: Report, target: Any, before: Any) -> None:
    """What arrived is what plain SQL on the profiles gives, and nothing was written since."""
    with connection.cursor() as cursor:
        cursor.execute("set timezone = 'UTC'")
        cursor.execute(_SUM.format(_EXPECTED, "profile"))
        expected = cursor.fetchall()
    found = run_sql(target, _SUM.format(", ".join(column for _, _, _, column in _FIELDS), "people"))
    report.check(found == expected, f"the destination holds {found}, the profiles say {expected}")
    report.check(_versions(target) == before, "rows were written though nothing had changed")
    report.check(report.detail["unchanged_sent"] == 0, f"{report.detail['unchanged_sent']} sent with nothing changed")
