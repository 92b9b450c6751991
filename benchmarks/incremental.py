"""`incremental`: the customers of `pipeline`, of whom one in a hundred changes after the first load.

The cost has to follow the changes and not the total, and nothing may be sent for the others. The limit is three times
what as many profiles of the first load cost, and two seconds.
"""

from __future__ import annotations

import time
from datetime import timedelta

from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now

from benchmarks import customers
from benchmarks.harness import Report, connect_to, largest_worker_mb, other_database, run_sql, wait_for, workers
from benchmarks.pipeline import finish_run, wait_for_exports, wait_for_groups
from schedules.models import Run, RunState, Schedule

# Changes lie ten seconds apart, so that the lookback of ten minutes holds sixty rows and not all of them.
_SPREAD = "update customers set updated_at = timestamptz '2026-01-01' + id * interval '10 seconds'"
_CHANGED = """
update customers set age = age + 1, updated_at = timestamptz '2026-09-01' + id * interval '1 millisecond'
 where id %% 100 = %s
"""


def run(profiles: int) -> Report:
    """Load, change one in a hundred, import again; see the module's text."""
    with other_database("shop") as shop, other_database("out") as out:
        source = connect_to(shop)
        customers.fill_source(source, profiles)
        run_sql(source, _SPREAD, "analyze customers")
        app = customers.make_app(shop)
        customers.make_rules(app)
        customers.make_groups()
        importing, exporting = customers.make_import(app), customers.make_export(out)
        target = connect_to(out)
        with workers(2):
            wait_for_groups()
            started = time.perf_counter()
            finish_run(importing, within=profiles / 100 + 120)
            wait_for_exports(exporting, profiles, within=profiles / 100 + 120)
            first = time.perf_counter() - started
            run_sql(target, "alter table people add written timestamptz default clock_timestamp()")
            run_sql(
                target,
                "create function note() returns trigger language plpgsql as"
                " $$ begin new.written = null; return new; end $$",
                "create trigger note before update on people for each row execute function note()",
                "create index on people (user_id) where written is null",  # else counting them takes a processor
            )
            run_sql(source, _CHANGED, args=[7])
            changed = (profiles - 7) // 100 + 1
            wait_for(lambda: _is_quiet(exporting), what="the exports to rest", within=30)
            started = time.perf_counter()
            again = finish_run(importing, within=first + 60)
            wait_for(lambda: _written(target) >= changed, what="the changes to arrive", within=first + 60)
            seconds = time.perf_counter() - started
        limit = 3 * first / profiles * changed + 2
        report = Report("incremental", profiles, seconds, limit, largest_worker_mb())
        report.detail = {"first_load_seconds": round(first, 2), "changed": changed, "written": _written(target)}
        report.detail["read_again"] = again.counters["read"]
        report.check(
            again.counters["read"] < changed + 200, f"{again.counters['read']} rows read for {changed} changes"
        )
        report.check(_written(target) == changed, f"{_written(target)} rows were written for {changed} changes")
        [(different,)] = run_sql(source, "select sum(age) from customers")
        [(arrived,)] = run_sql(target, "select sum(age) from people")
        report.check(different == arrived, f"the ages add up to {arrived}, at the source to {different}")
        report.check(seconds <= limit, f"{seconds:.1f} s, wanted at most {limit:.1f} s")
        target.close()
        source.close()
        connection.close()
    return report


def _is_quiet(exporting: Schedule) -> bool:
    """Whether the last export began long enough ago for another to begin at once: the pause between two is no cost."""
    runs = Run.objects.filter(schedule=exporting)
    at_work = (RunState.PENDING, RunState.RUNNING)
    return not runs.filter(Q(created_at__gt=Now() - timedelta(seconds=3)) | Q(state__in=at_work)).exists()


def _written(target: object) -> int:
    [(count,)] = run_sql(target, "select count(*) from people where written is null")
    return int(count)
