"""How far a run has come, and how long it will take: read from its work, never stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from schedules.models import Run, RunState

_LEAST_SECONDS = 1.0  # a rate from less time than this says nothing


@dataclass(frozen=True, slots=True)
class Progress:
    """`percent` from 0 to 100, None where the total is not known; `rate` per second; `seconds_left` by that rate."""

    percent: int | None
    rate: float | None
    seconds_left: int | None
    done: int
    total: int | None


def progress_of(run: Run, *, now: datetime) -> Progress:
    """The progress of a run (with its `work`). Only a complete run is at 100; a finished one has no time left."""
    work, state = run.work, RunState(run.state)
    done, total = work.done, work.total
    end = run.finished_at or now
    seconds = (end - run.started_at).total_seconds() if run.started_at else 0.0
    rate = done / seconds if done and seconds >= _LEAST_SECONDS else None
    if state == RunState.COMPLETE:
        return Progress(100, rate, None, done, total)
    percent = min(99, done * 100 // total) if total else None
    seconds_left = None
    if state == RunState.RUNNING and rate and total:
        seconds_left = round(max(0, total - done) / rate)
    return Progress(percent, rate, seconds_left, done, total)
