"""The end of an export run, or its wait for a destination that takes nothing."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import cast

from django.db import transaction

from apps_connectors.connections import connect
from core.work.leases import Lease
from plugins.base import ExportsProfiles
from plugins.contracts import PluginError, Retry
from schedules import runs, schedules_store
from schedules.exporting import places
from schedules.exporting.places import Exporting, Place
from schedules.models import Run, RunState
from schedules.runs import FoundError

_WAITS = (5, 15, 60, 300)  # seconds, when the destination takes nothing at all


def wait_and_collect_again(work: Exporting) -> Place:
    """Where the run goes on after its wait."""
    place, waits = work.place, work.place.waits + 1
    if place.exact:
        return replace(place, sent_until=None, waits=waits)
    return replace(places.start(work.run, work.plan), by=place.by, backfill=place.backfill, waits=waits)


def find_delay(after: float | None, waits: int) -> float:
    """Seconds until the destination is asked again that takes nothing; `after` is what it asked for."""
    if after is not None:
        return after
    return _WAITS[min(waits, len(_WAITS)) - 1] * random.uniform(0.75, 1.25)  # noqa: S311  not a secret


def finish(work: Exporting, lease: Lease) -> bool:
    """Let the destination publish what was written, and end the run. What is owed for later stays owed."""
    try:
        if _has_written(work):
            lease.renew()
            with connect(work.plan.app_id) as app:
                cast("ExportsProfiles", app).finish(work.plan.target)
    except Retry as error:
        place = wait_and_collect_again(work)
        with transaction.atomic():
            lease.hold(mark=place.write())
            runs.record_errors(work.run.pk, [FoundError(error.reason, 1)])
        lease.release(delay=find_delay(error.after, place.waits))
        return False
    except PluginError as error:
        with transaction.atomic():
            schedules_store.halt(work.plan.schedule_id, error.reason)
            runs.finish(lease, state=RunState.FAILED, error=error.reason)
        return False
    runs.finish(lease, state=RunState.COMPLETE)
    return False


def _has_written(work: Exporting) -> bool:
    """Whether anything was sent that may not be published yet: by this run, or by one that did not complete.

    After a change of the mapping what is published may change with nothing sent: the file of an empty group goes.
    """
    if work.place.full:
        return True
    counters = Run.objects.values_list("counters", flat=True).get(pk=work.run.pk)
    earlier = Run.objects.filter(schedule=work.run.schedule_id, pk__lt=work.run.pk).order_by("-pk")
    last = earlier.values_list("state", flat=True).first()
    return bool(counters.get("sent")) or last not in {None, RunState.COMPLETE}
