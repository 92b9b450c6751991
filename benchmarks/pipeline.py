"""`pipeline`: customers of a PostgreSQL source, from an empty product until every one of them is exported.

Ten column rules, one query rule over purchases (three rows each), three calculated groups, an export of everyone to a
PostgreSQL table that follows right after the changes, by real workers. The limit is a bare COPY of the same rows into
one flat typed table.
"""

from __future__ import annotations

import io
import statistics
import time
from itertools import pairwise
from typing import Any

from django.db import connection

from benchmarks import customers
from benchmarks.harness import Report, connect_to, largest_worker_mb, other_database, run_sql, wait_for, workers
from core.accounts.actors import SYSTEM
from groups.models import Group, GroupMember
from schedules import runs
from schedules.models import Run, RunState, Schedule

_SHOWN_FLAT = 1.3  # the last batches may cost this much more than the first ones
_FEWEST_BATCHES = 100  # with fewer, half of those of the first half have no export beside them


def run(profiles: int, *, worker_processes: int = 2) -> Report:
    """Run it once; see the module's text."""
    with other_database("shop") as shop, other_database("out") as out:
        source = connect_to(shop)
        customers.fill_source(source, profiles)
        app = customers.make_app(shop)
        customers.make_rules(app)
        customers.make_groups()
        importing, exporting = customers.make_import(app), customers.make_export(out)
        with workers(worker_processes):
            wait_for_groups()
            started = time.perf_counter()
            imported = finish_run(importing, within=profiles / 100 + 120)
            import_seconds = time.perf_counter() - started
            wait_for_exports(exporting, profiles, within=profiles / 100 + 120)
            seconds = time.perf_counter() - started
        largest = largest_worker_mb()
        report = Report("pipeline", profiles, seconds, _copy_flat(source, out), largest)
        report.detail = {
            "import_seconds": round(import_seconds, 2),
            "import_counters": imported.counters,
            "export_runs": Run.objects.filter(schedule=exporting).count(),
            **_flatness(report),
        }
        _verify(report, source, out)
        source.close()
    return report


def finish_run(schedule: Schedule, *, within: float) -> Run:
    """Run a schedule now, and wait until it is complete."""
    run_id = runs.start_run(schedule.pk, trigger="benchmark", actor=SYSTEM).pk

    def is_over() -> bool:
        return Run.objects.get(pk=run_id).state not in (RunState.PENDING, RunState.RUNNING)

    wait_for(is_over, what=f"{schedule} to end", within=within, every=min(0.25, within / 10_000))
    finished = Run.objects.get(pk=run_id)
    if finished.state != RunState.COMPLETE:
        errors = list(finished.errors.values_list("message", "count"))
        raise RuntimeError(f"{schedule} ended {finished.state}: {finished.error} {errors}")
    return finished


def wait_for_exports(schedule: Schedule, count: int, *, within: float) -> None:
    """Until `count` profiles are held at the destination, and nothing is owed."""

    def are_done() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "select count(*) from export_record where schedule_id = %s and state = 'held'", [schedule.pk]
            )
            return bool(cursor.fetchone()[0] == count)

    wait_for(are_done, what=f"{schedule} to hold everyone", within=within, every=0.25)


def wait_for_groups() -> None:
    """Until every group is calculated."""

    def are_ready() -> bool:
        return not any(group.calculated_version != group.rules_version for group in Group.objects.all())

    wait_for(are_ready, what="the groups to be ready", within=60)


def _flatness(report: Report) -> dict[str, Any]:
    """What a batch of the import costs at the beginning and at the end, by the times at which they were read.

    The beginning is the first half: the export starts a few seconds after the import and shares the processors from
    then on, so the first tenth alone would be compared with what does not run beside it.
    """
    with connection.cursor() as cursor:
        cursor.execute("select received_at from event group by 1 order by 1")
        pages = [row[0] for row in cursor.fetchall()]
    taken = [(after - before).total_seconds() for before, after in pairwise(pages)]
    if len(taken) < _FEWEST_BATCHES:
        return {"batches": len(pages)}
    first = statistics.median(taken[: len(taken) // 2])
    last = statistics.median(taken[-max(10, len(taken) // 10) :])
    report.check(last <= first * _SHOWN_FLAT, f"the last batches cost {last / first:.2f} times the first")
    return {"batches": len(pages), "first_batch_ms": round(first * 1000), "last_batch_ms": round(last * 1000)}


def _copy_flat(source: Any, out: str) -> float:
    """The raw limit: the joined rows out of the source and into one flat typed table, by COPY."""
    target = connect_to(out)
    columns = ", ".join(column for _, _, column in customers.COLUMNS)
    run_sql(
        target,
        "create table flat (id bigint primary key, email text, first_name text, last_name text, country text,"
        " city text, age int, score double precision, newsletter boolean, signed_up_at timestamptz, language text,"
        " ltv double precision)",
    )
    started = time.perf_counter()
    buffer = io.StringIO()
    with source.cursor() as cursor:
        cursor.copy_expert(
            f"copy (select c.id, {columns}, p.ltv from customers c left join"
            " (select customer_id, sum(total) ltv from purchases group by 1) p on p.customer_id = c.id) to stdout",
            buffer,
        )
    source.rollback()
    buffer.seek(0)
    with target.cursor() as cursor:
        cursor.copy_expert("copy flat from stdin", buffer)
    target.commit()
    seconds = time.perf_counter() - started
    target.close()
    return seconds


def _verify(report: Report, source: Any, out: str) -> None:
    """What arrived must be what plain SQL on the source gives; so must the members of each group."""
    expected = run_sql(
        source,
        "select count(*),"
        " sum(hashtextextended(concat_ws('|', c.id, c.email, c.first_name, c.country, c.age, p.ltv), 0))"
        " from customers c left join (select customer_id, sum(total)::float8 ltv from purchases group by 1) p"
        " on p.customer_id = c.id",
    )
    target = connect_to(out)
    found = run_sql(
        target,
        "select count(*), sum(hashtextextended(concat_ws('|', user_id, email, first_name, country, age, ltv), 0))"
        " from people",
    )
    target.close()
    report.check(found == expected, f"the destination holds {found}, the source says {expected}")
    members = dict(run_sql_members())
    for name, condition in {
        "Grown-up spenders": "ltv > 100 and age > 30",
        "Germans": "country = 'DE'",
        "Readers": "newsletter and language in ('en', 'fr')",
    }.items():
        [(count,)] = run_sql(
            source,
            "select count(*) from customers c join (select customer_id, sum(total) ltv from purchases group by 1) p"
            f" on p.customer_id = c.id where {condition}",
        )
        report.check(members.get(name, 0) == count, f"{name} has {members.get(name, 0)} members, the source {count}")


def run_sql_members() -> list[tuple[str, int]]:
    """The size of every group, counted."""
    return [(group.name, GroupMember.objects.filter(group=group).count()) for group in Group.objects.all()]
