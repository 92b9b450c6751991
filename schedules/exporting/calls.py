"""Whether an export's destination may be called just now, and calling it with rows that were claimed for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast
from uuid import UUID, uuid4

from django.db import transaction

from apps_connectors.connections import connect
from apps_connectors.slots import slot
from core.accounts import project
from core.work import leases
from core.work.leases import Lease
from plugins.base import ExportsProfiles
from plugins.contracts import Halt, Outcome, OutcomeKind, PluginError, Retry
from schedules import sending
from schedules.answers import Answers
from schedules.exporting.places import Exporting
from schedules.ledger.rows import OwedRow

_SLOT_SECONDS = 2 * leases.LEASE_SECONDS  # a call renews the lease, not the slot
_NO_SLOT_SECONDS = 1.0

Claim = Callable[[UUID], list[OwedRow]]


def attempt(work: Exporting, lease: Lease, claim: Claim, **more: Any) -> tuple[UUID, Answers] | None:
    """Mark the rows that `claim` takes for a new attempt as sent, committed before they are, then send them.

    None: another run has the App's last slot, and this one tries again in a moment.
    """
    with slot(work.plan.app_id, _SLOT_SECONDS) as is_free:
        if not is_free:
            lease.release(delay=_NO_SLOT_SECONDS)
            return None
        attempt_id = uuid4()
        with transaction.atomic():
            lease.hold(mark=work.place.write())
            rows = claim(attempt_id)
        return attempt_id, Answers(rows, _call(work, lease, rows, **more) if rows else [])


def _call(work: Exporting, lease: Lease, rows: Sequence[OwedRow], **more: Any) -> list[Outcome]:
    """Send these rows; one outcome for each, whatever happens. `more` are changes to the schedule's target."""
    target = replace(work.plan.target, is_backfill=work.place.backfill, **more)
    try:
        with connect(work.plan.app_id) as app:
            return sending.deliver(cast("ExportsProfiles", app), target, rows, between=lease.renew)
    except Halt as error:
        return [Outcome(OutcomeKind.HALT, error.reason)] * len(rows)
    except PluginError as error:
        after = error.after if isinstance(error, Retry) else None
        return [Outcome(OutcomeKind.RETRY, error.reason, after)] * len(rows)


def find_obstacle(work: Exporting) -> str:
    """Why nothing may be sent just now, in a sentence; empty when it may."""
    if project.current().sending_stopped:
        return f"Sending is stopped: {project.current().sending_stopped_reason or 'resume it in the settings'}"
    app = work.run.schedule.app
    app.refresh_from_db(fields=["paused_at"])
    return f"The App “{app}” is paused: resume it first." if app.paused_at else ""
