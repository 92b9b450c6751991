"""Celery's doors to schedules and their runs."""

from __future__ import annotations

from celery import shared_task

from core.work.wake import wake
from schedules import deletions, exporting, importing, run_changes, runs
from schedules.erasing import erasures, steps
from schedules.outbound import delivering, replays


@shared_task(name="schedules.start_due")
def start_due() -> None:
    """Start a run of every schedule whose time has come, and of every export that has something to send now."""
    runs.start_due()
    runs.start_each(exporting.find_due(), trigger="change")


@shared_task(name="schedules.import_slice")
def import_slice() -> None:
    """Work on one import run for a slice."""
    if importing.work_slice():
        wake("imports")


@shared_task(name="schedules.look_for_deleted")
def look_for_deleted() -> None:
    """Look for the deleted rows of one run for a slice."""
    if deletions.work_slice():
        wake(deletions.KIND)


@shared_task(name="schedules.revert")
def revert() -> None:
    """Take back what one run wrote for a slice."""
    if run_changes.work_slice():
        wake(run_changes.KIND)


@shared_task(name="schedules.export_slice")
def export_slice() -> None:
    """Work on one export run for a slice."""
    if exporting.work_slice():
        wake("exports")


@shared_task(name="schedules.erase")
def erase() -> None:
    """Work on erasing one person for a slice."""
    if steps.work_slice():
        wake(erasures.KIND)


@shared_task(name="schedules.find_outbound")
def find_outbound() -> None:
    """Wake a worker when a subscription has events to read or to send."""
    if delivering.find_due():
        wake("outbound")


@shared_task(name="schedules.outbound_slice")
def outbound_slice() -> None:
    """Work on one subscription for a slice."""
    if delivering.work_slice():
        wake("outbound")


@shared_task(name="schedules.replay_slice")
def replay_slice() -> None:
    """Go on with one replay of a subscription for a slice."""
    if replays.work_slice():
        wake(replays.KIND)
