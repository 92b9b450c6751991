"""Whether an export's destination may be called just now, and calling it: no table is written here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from apps_connectors.connections import connect
from core.accounts import project
from core.work import leases
from core.work.leases import Lease
from plugins.base import ExportsProfiles
from plugins.contracts import Halt, Outcome, OutcomeKind, PluginError, Retry
from schedules import sending
from schedules.exporting.places import Exporting
from schedules.ledger.rows import OwedRow

SLOT_SECONDS = 2 * leases.LEASE_SECONDS  # a call renews the lease, not the slot
NO_SLOT_SECONDS = 1.0


def call(work: Exporting, lease: Lease, rows: Sequence[OwedRow], **more: Any) -> list[Outcome]:
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
