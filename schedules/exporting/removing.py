"""The only phase of an erasure's run: the destination removes that person, whatever the mode."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from django.db import transaction

from core.work.leases import Lease
from plugins.contracts import SyncMode
from schedules import plans, runs, schedules_store
from schedules.answers import Answers
from schedules.exporting import calls, ending
from schedules.exporting.places import Exporting
from schedules.ledger import attempts, removals
from schedules.ledger.rows import OwedRow
from schedules.models import RunState


def remove(work: Exporting, lease: Lease) -> bool:
    """Have some profiles of the erasure removed, and end behind the last; what is not removed the erasure tries
    again by another run, so that this one holds up nothing.
    """
    if reason := calls.find_obstacle(work):
        runs.finish(lease, state=RunState.STOPPED, error=reason)
        return False
    made = calls.attempt(work, lease, partial(_claim, work), mode=SyncMode.SYNC)
    if made is None:
        return False
    attempt, answers = made
    return _record_removals(work, lease, attempt, answers) if answers.rows else ending.finish(work, lease)


def _claim(work: Exporting, attempt: UUID) -> list[OwedRow]:
    return removals.claim_erased(
        work.plan.schedule_id,
        erasure_id=work.run.options[plans.ERASE],
        attempt_id=attempt,
        run_id=work.run.pk,
        limit=work.kind.batch_size,
    )


def _record_removals(work: Exporting, lease: Lease, attempt: UUID, answers: Answers) -> bool:
    rows, halt = answers.rows, answers.halt
    with transaction.atomic():
        lease.hold(mark=work.place.write(), done=lease.done + len(rows))
        pairs = list(zip(rows, answers.outcomes, strict=True))
        attempts.record(work.plan.schedule_id, attempt_id=attempt, answers=pairs)
        removals.set_aside(work.plan.schedule_id)
        runs.count(work.run.pk, {"selected": len(rows), "owed": len(rows)})
        runs.count(work.run.pk, answers.counts)
        if halt:
            schedules_store.halt(work.plan.schedule_id, halt)
            runs.finish(lease, state=RunState.FAILED, error=halt)
    return not halt
