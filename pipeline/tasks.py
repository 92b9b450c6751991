"""Celery's doors to the pipeline."""

from __future__ import annotations

from celery import shared_task

from core.work import leases
from core.work.wake import wake
from events.replay import replay_unlinked
from pipeline import inbox, refresh


@shared_task(name="pipeline.process_inbox")
def process_inbox() -> None:
    """Process what waits in the inbox for one slice."""
    if inbox.process_some():
        wake("inbox")


@shared_task(name="pipeline.retry_hydration")
def retry_hydration() -> None:
    """Ask again for people whose Apps were down."""
    refresh.retry_due()


@shared_task(name="pipeline.relink")
def relink() -> None:
    """Take events again that found nobody, for one slice."""
    if leases.run_slice("relink", replay_unlinked):
        wake("relink")


@shared_task(name="pipeline.refresh_everyone")
def refresh_everyone() -> None:
    """Go on with what a change of a rule asks of everyone, for one slice."""
    if leases.run_slice("rehydrate", refresh.go_through_everyone):
        wake("rehydrate")
