"""Celery's doors to schedules and their runs."""

from __future__ import annotations

from celery import shared_task

from core.work.wake import wake
from schedules import importing, runs


@shared_task(name="schedules.start_due")
def start_due() -> None:
    """Start a run of every schedule whose time has come."""
    runs.start_due()


@shared_task(name="schedules.import_slice")
def import_slice() -> None:
    """Work on one import run for a slice."""
    if importing.work_slice():
        wake("imports")
