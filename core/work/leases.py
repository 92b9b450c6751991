"""Leases on long work: claim a piece, hold it while writing, give it back. The only writer of `Work`.

A worker claims a piece with a token and a lease, works on it batch by batch for one slice (at most 30 seconds), and
gives it back. Each batch ends in a transaction that calls `Lease.hold`, which names the token: if the lease ran out and
someone else took over, nothing is written. So a worker may be killed at any moment, and any number of them may run.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from core.lib.json import dumps
from core.work.models import UNFINISHED, Work, WorkState

LEASE_SECONDS: int = settings.GROUPAROO_LEASE_SECONDS
SLICE_SECONDS = 30
_BACKOFF_SECONDS = (5, 15, 60, 300)

log = logging.getLogger(__name__)


class LostLease(Exception):
    """Another worker has taken this work over; this one writes nothing more."""


class StopRequested(Exception):
    """A person asked this work to stop."""


@dataclass(slots=True)
class Lease:
    """The right to go on with one piece of work for a while. `mark` is how far it has come."""

    work_id: int
    kind: str
    subject: str
    token: UUID
    mark: Any
    done: int
    total: int | None
    stop_requested: bool
    failures: int
    deadline: float = field(default_factory=lambda: time.monotonic() + SLICE_SECONDS)

    @property
    def slice_is_over(self) -> bool:
        """Whether it is time to give the work back so that others get their turn."""
        return time.monotonic() >= self.deadline

    def hold(self, *, mark: Any, done: int | None = None, total: int | None = None) -> None:
        """Move the mark, inside the caller's transaction; raises LostLease when someone else holds the work.

        The row is locked until the transaction ends, so two workers can never both commit the same step.
        """
        with connection.cursor() as cursor:
            cursor.execute(
                "update work set mark = %s::jsonb, done = coalesce(%s, done), total = coalesce(%s, total),"
                " failures = 0, lease_until = clock_timestamp() + make_interval(secs => %s)"
                " where id = %s and token = %s returning done, total, stop_requested",
                [_json(mark), done, total, LEASE_SECONDS, self.work_id, self.token],
            )
            row = cursor.fetchone()
        if row is None:
            raise LostLease(f"{self.kind} {self.subject} was taken over by another worker")
        self.mark, (self.done, self.total, self.stop_requested) = mark, row

    def renew(self) -> None:
        """Keep the lease through a long step that writes nothing."""
        self._update(lease_until=Now() + timedelta(seconds=LEASE_SECONDS))

    def release(self, *, delay: float = 0.0) -> None:
        """Give the work back; it may be claimed again after `delay` seconds."""
        self._update(token=None, lease_until=None, next_at=Now() + timedelta(seconds=delay))

    def fail_slice(self, error: str) -> float:
        """Give the work back after an error, to be tried again later; returns the seconds until then."""
        delay = float(_BACKOFF_SECONDS[min(self.failures, len(_BACKOFF_SECONDS) - 1)])
        self._update(
            token=None,
            lease_until=None,
            next_at=Now() + timedelta(seconds=delay),
            failures=F("failures") + 1,
            error=error[:2000],
        )
        return delay

    def finish(self, *, state: WorkState = WorkState.COMPLETE, error: str = "") -> None:
        """The work has ended, inside the caller's transaction if there is one."""
        self._update(token=None, lease_until=None, state=state, error=error[:2000], finished_at=Now())

    def _update(self, **values: Any) -> None:
        if not Work.objects.filter(pk=self.work_id, token=self.token).update(**values):
            raise LostLease(f"{self.kind} {self.subject} was taken over by another worker")


def enqueue(*, kind: str, subject: str, mark: Any = None, total: int | None = None, at: datetime | None = None) -> Work:
    """The unfinished work of this kind and subject, made if there is none."""
    work, _ = Work.objects.get_or_create(
        kind=kind,
        subject=subject,
        state__in=UNFINISHED,
        defaults={"mark": mark, "total": total, "next_at": at or Now(), "state": WorkState.PENDING},
    )
    return work


def claim(kind: str, *, subject: str | None = None) -> Lease | None:
    """The next piece of this kind that nobody holds, or None. Its state becomes running."""
    due = Work.objects.filter(
        Q(lease_until__isnull=True) | Q(lease_until__lt=Now()), kind=kind, state__in=UNFINISHED, next_at__lte=Now()
    )
    if subject is not None:
        due = due.filter(subject=subject)
    with transaction.atomic():
        work = due.select_for_update(skip_locked=True, no_key=True).order_by("next_at", "id").first()
        if work is None:
            return None
        token = uuid4()
        Work.objects.filter(pk=work.pk).update(
            token=token,
            lease_until=Now() + timedelta(seconds=LEASE_SECONDS),
            state=WorkState.RUNNING,
            started_at=work.started_at or Now(),
        )
    return Lease(
        work_id=work.pk,
        kind=kind,
        subject=work.subject,
        token=token,
        mark=work.mark,
        done=work.done,
        total=work.total,
        stop_requested=work.stop_requested,
        failures=work.failures,
    )


def is_due(kind: str) -> bool:
    """Whether a sweep has anything to wake a worker for: cheap, by a partial index."""
    return Work.objects.filter(
        Q(lease_until__isnull=True) | Q(lease_until__lt=Now()), kind=kind, state__in=UNFINISHED, next_at__lte=Now()
    ).exists()


def request_stop(work_id: int) -> bool:
    """Ask for a stop; whoever holds the work sees it at its next batch. False when it has already ended."""
    return bool(Work.objects.filter(pk=work_id, state__in=UNFINISHED).update(stop_requested=True, next_at=Now()))


def make_due(kind: str, subjects: Sequence[str]) -> int:
    """Let work that rests, and that nobody holds, be claimed now; how many pieces. What failed waits its time."""
    resting = Work.objects.filter(
        kind=kind, subject__in=subjects, state__in=UNFINISHED, token__isnull=True, failures=0, next_at__gt=Now()
    )
    return resting.update(next_at=Now())


def cancel(kind: str, subject: str) -> None:
    """End work whose subject goes away, in the caller's transaction: whoever holds it writes nothing more."""
    Work.objects.filter(kind=kind, subject=subject, state__in=UNFINISHED).update(
        state=WorkState.STOPPED, token=None, lease_until=None, finished_at=Now()
    )


def forget(work_ids: Iterable[int]) -> None:
    """Remove ended work that nothing names any more, in the caller's transaction."""
    Work.objects.filter(pk__in=list(work_ids)).exclude(state__in=UNFINISHED).delete()


def run_slice(kind: str, step: Callable[[Lease], bool]) -> bool:
    """Claim one piece of work and call `step` until it says it is done (False) or the slice is over.

    `step` does one batch and returns whether there is more; it calls `lease.hold` in its own transaction, and
    `lease.finish` when the work has ended. Returns whether it is worth coming back at once.
    """
    lease = claim(kind)
    if lease is None:
        return False
    try:
        while step(lease):
            if lease.slice_is_over:
                lease.release()
                return True
        return True
    except LostLease as lost:
        log.warning("%s", lost)
        return False


def _json(value: Any) -> str | None:
    return None if value is None else dumps(value)
