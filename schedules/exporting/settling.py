"""What a worker that died had sent and not recorded: settled before anything else is done."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import cast
from uuid import UUID

from django.db import transaction

from apps_connectors.connections import connect
from core.work.leases import Lease
from plugins.base import ReadsBack
from plugins.contracts import ACCEPTED, PluginError
from schedules import runs, sending
from schedules.answers import Answers
from schedules.exporting.places import Exporting
from schedules.ledger import attempts, removals
from schedules.ledger.rows import OwedRow

log = logging.getLogger(__name__)

_LOOK_AGAIN_SECONDS = 5.0


def settle(work: Exporting, lease: Lease) -> bool:
    """Owe again what a worker that died had sent; False to wait, while it may still be answered."""
    unanswered, is_open = attempts.find_unanswered(work.plan.schedule_id)
    if is_open:
        lease.release(delay=_LOOK_AGAIN_SECONDS)
        return False
    arrived = [] if work.kind.idempotent or not issubclass(work.kind, ReadsBack) else _read_back(work, unanswered)
    place = replace(work.place, by=str(lease.token))
    with transaction.atomic():
        lease.hold(mark=place.write())
        for attempt, rows in arrived:
            answers = Answers(rows, [ACCEPTED] * len(rows))
            attempts.record(
                work.plan.schedule_id, attempt_id=attempt, answers=list(zip(rows, answers.outcomes, strict=True))
            )
            runs.count(work.run.pk, answers.counts if work.place.phase == "send" else {})
        attempts.doubt(work.plan.schedule_id, attempts=unanswered)
        removals.set_aside(work.plan.schedule_id)
    work.place = place
    return True


def _read_back(work: Exporting, unanswered: Sequence[UUID]) -> list[tuple[UUID, list[OwedRow]]]:
    arrived = []
    for attempt in unanswered:
        rows = attempts.read_attempt(work.plan.schedule_id, attempt_id=attempt)
        try:
            with connect(work.plan.app_id) as app:
                arrived.append((attempt, sending.settle(cast("ReadsBack", app), work.plan.target, rows)))
        except PluginError as error:  # then the doubt stays
            log.warning("run %s could not read back: %s", work.run.pk, error.reason)
    return arrived
