"""How far a run has come, and how long it will take: its own times and state, the figures of its work."""

from __future__ import annotations

from datetime import datetime

from core.work.progress import Progress, measure
from schedules.models import Run

__all__ = ["Progress", "progress_of"]


def progress_of(run: Run, *, now: datetime) -> Progress:
    """The progress of a run (with its `work`)."""
    return measure(
        done=run.work.done,
        total=run.work.total,
        state=run.state,
        started_at=run.started_at,
        ended_at=run.finished_at or now,
    )
