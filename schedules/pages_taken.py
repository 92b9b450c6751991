"""What one page of an import leaves in its run: counters, errors, notes, the high-water mark, and the run's end.

Called by `schedules/importing.py` in the transaction that takes the page's events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from core.work.leases import Lease
from events.envelope import InboundEvent
from pipeline.items import BatchResult
from plugins.contracts import Page, RecordSource
from profiles import suppression
from schedules import deletions, runs, schedules_store
from schedules.models import Run, RunState
from schedules.rows import RowPlan
from schedules.runs import FoundError
from schedules.uploads import remove_file


@dataclass(frozen=True, slots=True)
class TakenPage:
    """The run's own rows of one page, written in the transaction that takes its events."""

    run: Run
    source: RecordSource
    plan: RowPlan
    page: Page
    read_at: datetime
    notes: tuple[str, ...]

    def write(self, lease: Lease, events: Sequence[InboundEvent], result: BatchResult, *, is_end: bool = False) -> None:
        """Counters and errors; with the end of the page also its rejects and marks, with that of the run its end."""
        run_id = self.run.pk
        rejects = self.page.rejected if is_end else ()
        counters = {
            "read": len(events) + len(rejects),
            "events": result.events,
            "unchanged": result.duplicates,
            "created": result.created,
            "changed": result.changed,
            "unlinked": result.unlinked,
            "rejected": result.rejected + len(rejects),
            "skipped": result.erased,
        }
        runs.count(run_id, counters, notes=self.notes if is_end else ())
        found = [(row.reason, {"row": row.number, "text": row.text[:500]}) for row in rejects]
        found += [(what, {**self._where(events[index]), "detail": detail}) for index, what, detail in result.errors]
        erased = [FoundError(suppression.ERASED, result.erased)] if result.erased else []
        runs.record_errors(run_id, [*runs.group_errors(found), *erased])
        if is_end:
            self._move_high_water_mark()
            if not self.page.more:
                self._complete(lease)

    def refuse(self, event: InboundEvent, reason: str) -> None:
        """One row that the database does not take."""
        run_id = self.run.pk
        runs.count(run_id, {"read": 1, "rejected": 1})
        found = [("The row cannot be stored", {**self._where(event), "detail": reason})]
        runs.record_errors(run_id, runs.group_errors(found))

    def _where(self, event: InboundEvent) -> dict[str, Any]:
        column = self.source.id_column
        if column:
            return {"row": event.payload.get(self.plan.mapping.get(column, column))}
        return {} if self.plan.by_change else {"row": int(event.message_id.rpartition(":")[2]) + 1}

    def _move_high_water_mark(self) -> None:
        """Only forward: the pages of the lookback lie behind what an earlier run has reached."""
        mark, schedule = self.page.mark, self.run.schedule
        if mark.changed is None or "path" in self.run.options:  # a file that was brought tells nothing of the next one
            return
        at = self.page.changed[-1] if self.page.changed and not self.source.path else None
        reached = schedule.high_water_mark
        if reached and reached["at"] and at is not None and at < datetime.fromisoformat(reached["at"]):
            return
        high_water = {
            "changed": mark.changed,
            "id": mark.id,
            "offset": mark.offset,
            "at": at.isoformat() if at else None,
            "read_at": self.read_at.isoformat(),
        }
        schedules_store.move_high_water_mark(schedule.pk, high_water)

    def _complete(self, lease: Lease) -> None:
        runs.finish(lease, state=RunState.COMPLETE)
        deletions.queue(self.run)
        path = self.run.options.get("path")
        if path and not runs.has_rejects(self.run.pk):
            transaction.on_commit(lambda: remove_file(path))
