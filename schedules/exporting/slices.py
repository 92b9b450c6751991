"""What a worker calls: one export run for the length of a slice, step by step."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from django.db import connection

from core.lib.errors import InvalidInput
from core.work import leases
from core.work.leases import Lease, LostLease
from plugins import registry
from plugins.base import ExportsProfiles
from schedules import payloads, runs
from schedules.exporting import collecting, dispatching, places, removing, settling
from schedules.exporting.places import Exporting, Place
from schedules.models import Direction, Run, RunState

log = logging.getLogger(__name__)

MOST_FAILURES = 5  # slices in a row that end in an error of our own before the run has failed


def work_slice() -> bool:
    """Work on the next export run for one slice; whether it is worth coming back at once."""
    return leases.run_slice(Direction.EXPORT.value, _Worker())


@dataclass(slots=True)
class _Worker:
    """The step of one slice. What belongs to the run is read once and kept for the slice."""

    exporting: Exporting | None = None

    def __call__(self, lease: Lease) -> bool:
        if lease.stop_requested:
            runs.finish(lease, state=RunState.STOPPED)
            return False
        try:
            if self.exporting is None:
                self.exporting = _open(lease)
            return _step(self.exporting, lease)
        except (InvalidInput, registry.UnknownApp) as error:
            runs.finish(lease, state=RunState.FAILED, error=str(error))
        except LostLease:
            raise
        except Exception as error:
            if connection.connection is None or connection.connection.closed:
                raise  # our own database is away; the lease brings the run back
            log.exception("run %s could not go on", lease.subject)
            _try_later(lease, f"The export could not go on: {type(error).__name__}: {error}")
        return False


def _try_later(lease: Lease, reason: str) -> None:
    if lease.failures + 1 >= MOST_FAILURES:
        runs.finish(lease, state=RunState.FAILED, error=reason)
    else:
        lease.fail_slice(reason)


def _open(lease: Lease) -> Exporting:
    run = Run.objects.select_related("schedule__app").get(pk=int(lease.subject))
    kind = registry.get(run.schedule.app.type)
    if not issubclass(kind, ExportsProfiles):
        raise InvalidInput(f"Nothing can be exported to “{run.schedule.app}”.")
    plan = payloads.load_plan(run.schedule)
    goes_on = lease.mark and lease.mark.get("run") == run.pk
    place = Place(**lease.mark) if goes_on else places.begin(lease, run, plan)
    return Exporting(run, plan, kind, place)


def _step(work: Exporting, lease: Lease) -> bool:
    """Do one batch; whether to go on at once."""
    if work.place.by != str(lease.token) and not settling.settle(work, lease):
        return False
    match work.place.phase:
        case "again":
            return collecting.owe_again(work, lease)
        case "remove":
            return removing.remove(work, lease)
        case "collect":
            return collecting.collect(work, lease)
        case _:
            return dispatching.send(work, lease)
