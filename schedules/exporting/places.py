"""Where an export run stands, kept as the mark of its work, and where it begins."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from django.db import transaction

from core.work.leases import Lease
from plugins.base import ExportsProfiles
from schedules import again, cursor, payloads, plans, runs
from schedules.ledger import owing
from schedules.models import Run
from schedules.payloads import ExportPlan


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run stands, kept as the mark of its work."""

    run: int
    by: str = ""  # the lease under which what was unanswered before has been settled
    phase: str = "collect"  # again, collect, send, remove
    again: str | None = None  # the last profile of those that are sent again
    exact: bool = False  # a plan is sent, and nothing else is looked for
    backfill: bool = False  # everyone is sent for the first time, or anew
    full: bool = False  # everyone is compared
    mark: int = 0  # how far the logs are taken; of a full comparison: where they will be read from after it
    until: int | None = None  # how far this run reads them
    after: str | None = None  # the last profile of a full comparison
    sent_until: str | None = None  # the due time of the last rows sent
    waits: int = 0  # how often in a row the destination took nothing

    def write(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(slots=True)
class Exporting:
    """One run for the length of a slice. What belongs to it is read once; `place` moves with each transaction."""

    run: Run
    plan: ExportPlan
    kind: type[ExportsProfiles]
    place: Place


def start(run: Run, plan: ExportPlan) -> Place:
    """At the schedule's cursor; at everyone where there is none that holds."""
    mark = cursor.find(plan.schedule_id, mapping_version=plan.version)
    return Place(run.pk, mark=mark) if mark is not None else start_anew(run)


def start_anew(run: Run) -> Place:
    """At everyone."""
    return Place(run.pk, full=True, backfill=True, mark=cursor.read_horizon())


def begin(lease: Lease, run: Run, plan: ExportPlan) -> Place:
    """Where a run begins that nobody has worked on yet; it is running from now on."""
    if plans.ERASE in run.options:
        place = Place(run.pk, phase="remove", exact=True)
        runs.begin(lease, mark=place.write(), total=None)
        return place
    if plans.is_exact(run):
        place = Place(run.pk, phase="send", exact=True)
        with transaction.atomic():
            owing.release(plan.schedule_id)
            owed = owing.sum_up(plan.schedule_id).all
            runs.begin(lease, mark=place.write(), total=owed)
            runs.count(run.pk, {"selected": owed, "owed": owed})
        return place
    place = start_anew(run) if again.is_everything(run) else start(run, plan)
    if again.is_asked(run):
        place = replace(place, phase="again")
    runs.begin(lease, mark=place.write(), total=payloads.count_everyone(plan) if place.full else None)
    return place
