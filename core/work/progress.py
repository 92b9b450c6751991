"""How far a piece of work has come, and how long it will take: read from its row, never stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from core.work.models import Work, WorkState

_LEAST_SECONDS = 1.0  # a rate from less time than this says nothing


@dataclass(frozen=True, slots=True)
class Progress:
    """`percent` from 0 to 100, None where the total is not known; `rate` per second; `seconds_left` by that rate."""

    percent: int | None
    rate: float | None
    seconds_left: int | None
    done: int
    total: int | None


def progress_of(work: Work, *, now: datetime | None = None) -> Progress:
    """The progress of a piece of work now."""
    return measure(
        done=work.done,
        total=work.total,
        state=work.state,
        started_at=work.started_at,
        ended_at=work.finished_at or now or timezone.now(),
    )


def measure(*, done: int, total: int | None, state: str, started_at: datetime | None, ended_at: datetime) -> Progress:
    """The progress of anything with these figures. Only what is complete is at 100; what has ended has no time left."""
    seconds = (ended_at - started_at).total_seconds() if started_at else 0.0
    rate = done / seconds if done and seconds >= _LEAST_SECONDS else None
    if state == WorkState.COMPLETE:
        return Progress(100, rate, None, done, total)
    percent = min(99, done * 100 // total) if total else None
    left = round(max(0, total - done) / rate) if state == WorkState.RUNNING and rate and total else None
    return Progress(percent, rate, left, done, total)
