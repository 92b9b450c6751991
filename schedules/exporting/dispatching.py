"""The second phase of an export run: owed rows are marked as sent, sent, and what was answered is stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial
from uuid import UUID

from django.db import transaction

from core.work.leases import Lease
from schedules import runs, schedules_store
from schedules.answers import Answers
from schedules.exporting import calls, ending
from schedules.exporting.places import Exporting
from schedules.ledger import attempts, owing
from schedules.ledger.rows import OwedRow
from schedules.models import RunState


def send(work: Exporting, lease: Lease) -> bool:
    """Send one batch; whether there is more to do at once."""
    if (reason := calls.find_obstacle(work)) and owing.has_due(work.plan.schedule_id):
        runs.finish(lease, state=RunState.STOPPED, error=reason)
        return False
    made = calls.attempt(work, lease, partial(_claim, work))
    if made is None:
        return False
    attempt, answers = made
    return _record(work, lease, attempt, answers) if answers.rows else ending.finish(work, lease)


def _claim(work: Exporting, attempt: UUID) -> list[OwedRow]:
    after = datetime.fromisoformat(work.place.sent_until) if work.place.sent_until else None
    rows = _claim_after(work, attempt, after)
    return rows if rows or after is None else _claim_after(work, attempt, None)


def _claim_after(work: Exporting, attempt: UUID, after: datetime | None) -> list[OwedRow]:
    return attempts.claim(
        work.plan.schedule_id, attempt_id=attempt, run_id=work.run.pk, after=after, limit=work.kind.batch_size
    )


def _record(work: Exporting, lease: Lease, attempt: UUID, answers: Answers) -> bool:
    rows, down, halt = answers.rows, answers.down, answers.halt
    place = replace(work.place, waits=0, sent_until=max(row.next_at for row in rows).isoformat())
    if down:
        place = ending.wait_and_collect_again(work)
    with transaction.atomic():
        lease.hold(mark=place.write(), done=lease.done + answers.done)
        pairs = list(zip(rows, answers.outcomes, strict=True))
        attempts.record(work.plan.schedule_id, attempt_id=attempt, answers=pairs, all_wait=bool(down))
        runs.count(work.run.pk, answers.counts)
        runs.record_errors(work.run.pk, answers.errors())
        if halt:
            schedules_store.halt(work.plan.schedule_id, halt)
            runs.finish(lease, state=RunState.FAILED, error=halt)
    work.place = place
    if down:
        lease.release(delay=ending.find_delay(down.after, place.waits))
    return not (halt or down)
