"""Taking events again: they wait in the inbox once more and are processed as if they came now, with their own time.

An event stays where it is until the pipeline stores what became of it this time, in its place: nobody who counts events
sees it missing. What it says is judged by its own time, so a newer value stands. Deliveries that were made are not made
again. Rows of import runs are left alone, since their schedule says what of them is saved: run it again instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import connection, transaction

from core.accounts import audit
from core.accounts.actors import Actor
from core.work import leases
from core.work.leases import Lease
from core.work.models import WorkState
from core.work.wake import wake
from events.models import Event, EventState, SourceKind
from profiles.models import ProfilePropertyRule

RELINK = "relink"  # the kind of work that takes events again which found nobody; its subject is a property's key
MOST = 10_000  # events that are taken again at once

_PAGE = 20_000  # events that are looked at in one transaction
_INTO_INBOX = """
insert into inbox (id, message_id, type, occurred_at, received_at, source_kind, source_id, payload, attempts, error,
                   is_replay)
select id, message_id, type, occurred_at, received_at, source_kind, source_id, payload, 0, '', true
  from event where {} order by id
on conflict do nothing
"""
_PUT_BACK = _INTO_INBOX.format("id = any(%s) and source_kind <> %s and state <> 'rejected'")
_PUT_BACK_UNLINKED = _INTO_INBOX.format(
    "id > %s and id <= %s and state = 'unlinked' and source_kind <> %s and payload -> %s is not null"
)


def look_again(rule: ProfilePropertyRule) -> None:
    """Events that found nobody may find someone by a property that identifies people from now on."""
    if Event.objects.filter(state=EventState.UNLINKED).exists():
        leases.enqueue(kind=RELINK, subject=rule.key)
        wake("relink")


def replay_unlinked(lease: Lease) -> bool:
    """One step of taking events again that found nobody and have a key, the work's subject; whether there is more."""
    after = UUID(lease.mark["after"]) if lease.mark else UUID(int=0)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "select max(id::text)::uuid, count(*)"
            " from (select id from event where state = 'unlinked' and id > %s order by id limit %s) page",
            [after, _PAGE],
        )
        last, count = cursor.fetchone()
        if not count or lease.stop_requested:
            lease.finish(state=WorkState.STOPPED if count else WorkState.COMPLETE)
            return False
        cursor.execute(_PUT_BACK_UNLINKED, [after, last, SourceKind.RUN.value, lease.subject])
        if cursor.rowcount:
            wake("inbox")
        lease.hold(mark={"after": str(last)}, done=lease.done + count)
    return True


def replay(event_ids: Sequence[UUID], *, actor: Actor) -> int:
    """Put these events into the inbox again; how many. Those that wait already, and rows of runs, are passed over."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_PUT_BACK, [list(event_ids), SourceKind.RUN.value])
            count: int = cursor.rowcount
        if count:
            audit.record("event.replay", Event(pk=event_ids[0]), after={"events": count}, actor=actor)
            wake("inbox")
    return count
