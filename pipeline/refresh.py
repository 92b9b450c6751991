"""Hydrate people again although no event is about them: those whose Apps were down, and whoever a person asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from core.work.leases import Lease
from core.work.models import WorkState
from pipeline.items import BatchResult
from pipeline.process import process
from profiles import hydration_retries
from profiles.models import Profile

BATCH = 500


@dataclass(frozen=True, slots=True)
class NoClaim:
    """Refreshing twice does no harm, so nothing has to be held."""

    def hold(self, _: BatchResult) -> None:
        """Always."""


def refresh(guids: Sequence[UUID]) -> BatchResult:
    """Ask every App again for these profiles, now."""
    return process([], claim=NoClaim(), refresh=guids)


@dataclass(frozen=True, slots=True)
class _PageClaim:
    """One page of everyone: the mark moves with what is written."""

    lease: Lease
    last: UUID
    count: int

    def hold(self, _: BatchResult) -> None:
        """Move the mark past this page; raises LostLease when another worker took over."""
        self.lease.hold(mark={"after": str(self.last)}, done=self.lease.done + self.count)


def refresh_everyone(lease: Lease) -> bool:
    """One step of asking again for every profile; whether there is more."""
    after = (lease.mark or {}).get("after")
    everyone = Profile.objects.order_by("guid").values_list("guid", flat=True)
    page = list((everyone.filter(guid__gt=after) if after else everyone)[:BATCH])
    if not page or lease.stop_requested:
        lease.finish(state=WorkState.STOPPED if page else WorkState.COMPLETE)
        return False
    process([], claim=_PageClaim(lease, page[-1], len(page)), refresh=page)
    return True


def retry_due() -> int:
    """Ask again for people whose Apps were down when they were last hydrated; how many."""
    due = hydration_retries.claim(limit=BATCH)
    if due:
        refresh(due)
    return len(due)
