"""Schedules that should have run by themselves and did not: twice their rhythm has passed since the last run began."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from core.accounts import project
from schedules import timing
from schedules.models import Direction, Run, RunState, Schedule

_GRACE = timedelta(minutes=1)  # a sweep, a worker that has something else to do first


def find_late(
    schedules: Iterable[Schedule], latest: Mapping[int, Run], *, now: datetime
) -> list[tuple[Schedule, datetime]]:
    """Those that are late (with their Apps, and the newest run of each), and since when they have not run.

    What a person stopped, paused or has to mend first is not late, and neither is what runs for long.
    """
    stopped = project.current().sending_stopped
    found = []
    for schedule in schedules:
        is_held = (
            schedule.halted_reason or schedule.app.paused_at or (stopped and schedule.direction == Direction.EXPORT)
        )
        run = latest.get(schedule.pk)
        if not schedule.enabled or is_held or (run is not None and run.state == RunState.RUNNING):
            continue
        since = schedule.created_at if run is None else run.started_at or run.created_at
        due = _second_time(schedule, max(since, schedule.updated_at))
        if due is not None and due + _GRACE < now:
            found.append((schedule, since))
    return found


def _second_time(schedule: Schedule, since: datetime) -> datetime | None:
    """The second time at which it should have run after this one; None when it is run by hand."""
    if schedule.every_minutes:
        return since + 2 * timedelta(minutes=schedule.every_minutes)
    zone = project.current().time_zone
    first = timing.next_time(every_minutes=None, cron=schedule.cron, zone=zone, now=since)
    return first and timing.next_time(every_minutes=None, cron=schedule.cron, zone=zone, now=first)
