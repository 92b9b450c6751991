"""Celery's doors to groups."""

from __future__ import annotations

from celery import shared_task

from core.work.wake import wake
from groups import boundaries, membership, recalculation, time_zone


@shared_task(name="groups.recalculate")
def recalculate() -> None:
    """Go on with one recalculation, and come back while there is more."""
    if recalculation.recalculate_some():
        wake("groups")


@shared_task(name="groups.sweep_boundaries")
def sweep_boundaries() -> None:
    """Let time move on for groups with relative dates."""
    boundaries.sweep()


@shared_task(name="groups.record_sizes")
def record_sizes() -> None:
    """Write down today's sizes of all groups."""
    membership.record_sizes()


@shared_task(name="groups.follow_time_zone")
def follow_time_zone() -> None:
    """Recalculate what a new time zone changes."""
    time_zone.follow()
