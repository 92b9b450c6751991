"""Events at rest: the only writer of `Event` and, for rows of import Runs, of `EventKey`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import connection

from core.lib.copying import copy_rows
from core.lib.json import dumps
from events.envelope import InboundEvent

_COLUMNS = (
    "id",
    "message_id",
    "type",
    "occurred_at",
    "received_at",
    "source_kind",
    "source_id",
    "payload",
    "state",
    "profile_id",
    "error",
)


@dataclass(frozen=True, slots=True)
class ProcessedEvent:
    """An event with its fate. `key` is set when it has yet to be taken (rows of import Runs)."""

    id: UUID
    event: InboundEvent
    payload_text: str
    state: str
    profile_id: UUID | None
    error: str
    key: UUID | None


class KeyTaken(Exception):
    """A message of this batch was stored by someone else in the meantime."""


def taken_keys(keys: Iterable[UUID]) -> set[UUID]:
    """Which of these messages were stored before."""
    wanted = list(keys)
    if not wanted:
        return set()
    with connection.cursor() as cursor:
        cursor.execute("select key from event_key where key = any(%s)", [wanted])
        return {row[0] for row in cursor.fetchall()}


def finish(events: Sequence[ProcessedEvent]) -> None:
    """Store processed events and take their keys, in the caller's transaction; raises KeyTaken when one was taken."""
    keyed = [{"key": event.key, "event_id": event.id} for event in events if event.key is not None]
    with connection.cursor() as cursor:
        if keyed:
            cursor.execute(
                "insert into event_key (key, event_id)"
                " select key, event_id from json_to_recordset(%s::json) as k(key uuid, event_id uuid)"
                " order by key on conflict do nothing",
                [dumps(keyed)],
            )
            if cursor.rowcount != len(keyed):
                raise KeyTaken
        copy_rows(
            cursor,
            "event",
            _COLUMNS,
            (
                (
                    stored.id,
                    stored.event.message_id,
                    stored.event.type,
                    stored.event.occurred_at.isoformat(),
                    stored.event.received_at.isoformat(),
                    stored.event.source_kind,
                    stored.event.source_id,
                    stored.payload_text,
                    stored.state,
                    stored.profile_id,
                    stored.error,
                )
                for stored in events
            ),
        )


def forget_keys(*, older_than: timedelta) -> int:
    """Delete the keys of messages that are older than the time within which a repetition is recognised."""
    with connection.cursor() as cursor:
        cursor.execute(
            "delete from event_key where ('x' || left(replace(event_id::text, '-', ''), 12))::bit(48)::bigint"
            " < extract(epoch from clock_timestamp() - make_interval(secs => %s)) * 1000",
            [older_than.total_seconds()],
        )
        return int(cursor.rowcount)
