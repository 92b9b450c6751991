"""Events that were accepted at a door, on to the pipeline: claim some, process them, they leave the inbox for good.

A claim is a token and a lease on the rows themselves. The rows are deleted in the same transaction that stores their
events, naming the token: whoever lost the claim deletes nothing, and everything it wrote is rolled back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from django.db import DatabaseError, connection, transaction

from core.lib.json import loads
from core.work.leases import LEASE_SECONDS, LostLease
from events import store
from events.envelope import InboundEvent
from events.models import EventState
from pipeline.items import BatchResult
from pipeline.process import Contended, process
from profiles import ruleset, suppression
from profiles.naming import identities_in

log = logging.getLogger(__name__)

BATCH = 1000
SLICE_SECONDS = 20

_CLAIM = """
update inbox i
   set token = %s, lease_until = clock_timestamp() + %s * interval '1 second', attempts = i.attempts + 1
  from (select id from inbox where lease_until is null or lease_until < clock_timestamp()
         order by id limit %s for update skip locked) due
 where i.id = due.id
returning i.id, i.message_id, i.type, i.occurred_at, i.received_at, i.source_kind, i.source_id, i.payload::text,
          i.is_replay
"""


@dataclass(frozen=True, slots=True)
class InboxClaim:
    """The right to take these rows out of the inbox."""

    token: UUID
    ids: list[UUID]

    def hold(self, _: BatchResult) -> None:
        """Take the rows out; raises LostLease when someone else has claimed one of them since."""
        with connection.cursor() as cursor:
            cursor.execute("delete from inbox where id = any(%s) and token = %s", [self.ids, self.token])
            if cursor.rowcount != len(self.ids):
                raise LostLease("the lease on these events ran out and another worker took them over")

    def give_back(self) -> None:
        """Leave the rows to whoever comes next."""
        with connection.cursor() as cursor:
            cursor.execute(
                "update inbox set token = null, lease_until = clock_timestamp() + interval '1 second'"
                " where id = any(%s) and token = %s",
                [self.ids, self.token],
            )


def process_some() -> bool:
    """Process what waits, for one slice at most; whether anything may be left."""
    deadline = time.monotonic() + SLICE_SECONDS
    while time.monotonic() < deadline:
        token, batch = claim(limit=BATCH)
        if not batch:
            return False
        try:
            _process(batch, token)
        except LostLease as lost:
            log.warning("%s", lost)
    return True


def claim(*, limit: int) -> tuple[UUID, list[InboundEvent]]:
    """The oldest events that nobody works on, in order of arrival."""
    token = uuid4()
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [token, LEASE_SECONDS, limit])
        rows = sorted(cursor.fetchall())
    return token, [
        InboundEvent(
            id=row[0],
            message_id=row[1],
            type=row[2],
            occurred_at=row[3],
            received_at=row[4],
            source_kind=row[5],
            source_id=row[6],
            payload=loads(row[7]),
            payload_text=row[7],
            is_replay=row[8],
        )
        for row in rows
    ]


def _process(batch: Sequence[InboundEvent], token: UUID) -> None:
    """Process a batch; one that the database refuses is halved until the event at fault is alone."""
    rows = InboxClaim(token, [event.id for event in batch if event.id is not None])
    try:
        process(batch, claim=rows)
    except Contended as contended:
        log.warning("%s", contended)
        rows.give_back()
    except DatabaseError as error:
        if connection.connection is None or connection.connection.closed:
            raise  # the server went away; the lease brings the rows back
        if len(batch) == 1:
            _reject(batch[0], rows, reason=str(error))
            return
        middle = len(batch) // 2
        _process(batch[:middle], token)
        _process(batch[middle:], token)


def _reject(event: InboundEvent, rows: InboxClaim, *, reason: str) -> None:
    """Store an event that cannot be processed, with the reason, so that it is seen and holds up nothing."""
    log.error("event %s cannot be processed: %s", event.id, reason)
    rules = ruleset.load()
    is_erased = bool(suppression.find(identities_in(event.payload, rules), rules))
    stored = store.ProcessedEvent(
        id=rows.ids[0],
        event=event,
        payload_text=event.payload_text or "{}",
        state=EventState.REJECTED,
        profile_id=None,
        error=reason[:2000],
        key=None,
    )
    with transaction.atomic():
        rows.hold(BatchResult())
        store.finish(store.draft([] if is_erased else [stored]))


def is_waiting() -> bool:
    """Whether a sweep has anything to wake a worker for."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select exists (select 1 from inbox where lease_until is null or lease_until < clock_timestamp())"
        )
        return bool(cursor.fetchone()[0])
