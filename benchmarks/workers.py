"""`workers`: the work of `pipeline`, and N events that wait in the inbox, by 1, 2 and 4 worker processes.

Each time from an empty product. More workers may not be slower; where the machine has more processors than one worker
and the database need, two have to be faster than one.
"""

from __future__ import annotations

import os
import time

from django.db import connection, transaction

from benchmarks import pipeline
from benchmarks.harness import Report, empty_product, largest_worker_mb, wait_for, workers
from core.accounts.actors import SYSTEM
from core.lib import uuid7
from core.lib.copying import copy_rows
from core.lib.json import dumps
from core.work.wake import wake
from events.models import Event, EventState
from profiles.models import Profile
from profiles.rules import NewRule, create_rule

COUNTS = (1, 2, 4)
_NO_SLOWER = 1.15  # times the seconds of fewer workers,
_A_LITTLE = 0.5  # and these seconds, for what does not grow with the work
_CORES_OF_ONE = 2  # one for a worker, one for the database
_EVENTS_EACH = 10
_INBOX = ("id", "message_id", "type", "occurred_at", "received_at", "source_kind", "source_id", "payload", "attempts")


def run(profiles: int) -> Report:
    """Run both with every number of workers; the report's seconds are those of `pipeline` by two."""
    loads, imports, events = [], [], []
    problems = []
    for count in COUNTS:
        empty_product()
        load = pipeline.run(profiles, worker_processes=count)
        loads.append(load.seconds)
        imports.append(load.detail["import_seconds"])
        problems += [f"pipeline, {count} workers: {each}" for each in load.failed_checks]
        empty_product()
        events.append(_process_events(profiles, count))
        problems += _find_missing(profiles, count)
    report = Report("workers", profiles, loads[1], loads[0], largest_worker_mb(), failed_checks=problems)
    report.detail = {"workers": COUNTS}
    for name, taken in (("pipeline", loads), ("import", imports), ("events", events)):
        report.detail[f"{name}_seconds"] = [round(each, 2) for each in taken]
    # Not the whole pipeline: an export that follows changes waits two seconds between its runs, however many work.
    _compare(report, "import", imports)
    _compare(report, "events", events)
    return report


def _process_events(count: int, processes: int) -> float:
    """The seconds in which so many processes take everything out of an inbox that is full."""
    create_rule(NewRule("user_id", "integer", is_unique=True), actor=SYSTEM)
    create_rule(NewRule("plan", "string"), actor=SYSTEM)
    create_rule(NewRule("visits", "integer"), actor=SYSTEM)

    def are_processed() -> bool:
        wake("inbox")  # as every request that brings events does
        return Event.objects.count() >= count

    with workers(processes):
        _fill_inbox(count)
        started = time.perf_counter()
        wait_for(are_processed, what="all events", within=count / 200 + 60, every=0.25)
        return time.perf_counter() - started


def _fill_inbox(count: int) -> None:
    """All of them in one transaction, so that they are there at once."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("select clock_timestamp()")
        received = cursor.fetchone()[0]
        at = received.isoformat()
        copy_rows(
            cursor,
            "inbox",
            (*_INBOX, "error"),
            [
                (id_, f"event {number}", "visit", at, at, "api_key", 1, _payload(number), 0, "")
                for number, id_ in enumerate(uuid7.make_many(received, count))
            ],
        )


def _payload(number: int) -> str:
    plan = ("free", "silver", "gold")[number % 3]
    return dumps({"user_id": number // _EVENTS_EACH, "plan": plan, "visits": number, "page": f"/products/{number}"})


def _find_missing(count: int, processes: int) -> list[str]:
    """What is wrong with the outcome: every event is somebody's, and no person is there twice."""
    processed = Event.objects.filter(state=EventState.PROCESSED).count()
    people, wanted = Profile.objects.count(), (count - 1) // _EVENTS_EACH + 1
    if (processed, people) == (count, wanted):
        return []
    return [f"events, {processes} workers: {processed} of {count} processed, {people} people instead of {wanted}"]


def _compare(report: Report, name: str, taken: list[float]) -> None:
    for count, seconds, fewer in zip(COUNTS[1:], taken[1:], taken, strict=False):
        report.check(
            seconds <= fewer * _NO_SLOWER + _A_LITTLE,
            f"{name}: {count} workers took {seconds:.1f} s, fewer {fewer:.1f}",
        )
    if (os.cpu_count() or 1) > _CORES_OF_ONE:
        report.check(taken[1] < taken[0], f"{name}: two workers took {taken[1]:.1f} s, one {taken[0]:.1f}")
