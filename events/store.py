"""Events at rest: the only writer of `Event` and, for rows of import Runs, of `EventKey`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from core.lib import uuid7
from core.lib.copying import Copy, copy_new, draft_copy
from core.lib.json import dumps
from core.lib.mentions import Mentions
from core.lib.storable import find_problem, find_problem_in_text
from events.envelope import InboundEvent, event_key
from events.models import EventState

_LONGEST_REFUSED = 32_768  # characters of a payload that could not be taken


@dataclass(slots=True)  # not frozen: that makes them at half the speed
class ProcessedEvent:
    """An event with its fate. `key` is set when it has yet to be taken (rows of import Runs)."""

    id: UUID
    event: InboundEvent
    payload_text: str
    state: str
    profile_id: UUID | None
    error: str
    key: str | None


class KeyTaken(Exception):
    """A message of this batch was stored by someone else in the meantime."""


def taken_keys(keys: Iterable[str]) -> set[str]:
    """Which of these messages were stored before."""
    wanted = ",".join(keys)
    if not wanted:
        return set()
    with connection.cursor() as cursor:
        cursor.execute("select key from event_key where key = any(%s::uuid[])", [f"{{{wanted}}}"])
        return {row[0].hex for row in cursor.fetchall()}


@dataclass(frozen=True, slots=True)
class Draft:
    """Processed events as they are stored: (key, event) for keys yet to be taken, replays, and the rows."""

    keys: Sequence[tuple[str, str]]
    again: list[UUID]
    rows: Copy


def draft(events: Sequence[ProcessedEvent]) -> Draft:
    """What `finish` will store of these events. Pure."""
    return Draft(
        keys=sorted((event.key, event.id.hex) for event in events if event.key is not None),
        again=[event.id for event in events if event.event.is_replay],
        rows=draft_copy("event", _columns(events)),
    )


def finish(stored: Draft) -> None:
    """Store processed events and take their keys, in the caller's transaction; raises KeyTaken when one was taken."""
    with connection.cursor() as cursor:
        if stored.keys and not copy_new(cursor, "event_key", ("key", "event_id"), stored.keys):
            raise KeyTaken
        if stored.again:
            cursor.execute("delete from event where id = any(%s)", [stored.again])
        stored.rows.send(cursor)


def _columns(events: Sequence[ProcessedEvent]) -> dict[str, Sequence[Any]]:
    """Events as the table holds them, by column."""
    inbound = [stored.event for stored in events]
    return {
        "id": [stored.id for stored in events],
        "message_id": [event.message_id for event in inbound],
        "type": [event.type for event in inbound],
        "occurred_at": [event.occurred_at.isoformat() for event in inbound],
        "received_at": [event.received_at.isoformat() for event in inbound],
        "source_kind": [event.source_kind for event in inbound],
        "source_id": [event.source_id for event in inbound],
        "payload": [stored.payload_text for stored in events],
        "state": [stored.state for stored in events],
        "profile_id": [stored.profile_id for stored in events],
        "error": [stored.error for stored in events],
    }


def keep_refused(refused: Sequence[tuple[Any, str]], *, source_kind: str, source_id: int) -> None:
    """Store items that a door could not take, each with the reason, so that they are seen: in a transaction of its own.

    Of an item as much is kept as can be stored; what cannot, or is too large, is left out.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("select clock_timestamp()")
        received = cursor.fetchone()[0]
        ids = uuid7.make_many(received, len(refused))
        events = [
            _refused(item, reason, InboundEvent("", "", received, received, source_kind, source_id, {}, id=id_))
            for (item, reason), id_ in zip(refused, ids, strict=True)
        ]
        finish(draft(events))


def _refused(item: Any, reason: str, event: InboundEvent) -> ProcessedEvent:
    assert event.id is not None  # noqa: S101  the caller gave it one
    told = item if isinstance(item, dict) else {"item": item}
    payload = told["payload"] if isinstance(told.get("payload"), dict) else told
    text = "{}"
    if find_problem(payload) is None and len(whole := dumps(payload)) <= _LONGEST_REFUSED:
        text = whole
    named = replace(
        event,
        message_id=_short(told.get("message_id")) or _short(told.get("messageId")) or str(event.id),
        type=_short(told.get("event")) or _short(told.get("type")),
    )
    return ProcessedEvent(event.id, named, text, EventState.REJECTED, None, reason[:2000], None)


def _short(value: Any) -> str:
    """A text that may stand in a column of its own; "" for anything else."""
    return value if isinstance(value, str) and len(value) <= 200 and not find_problem_in_text(value) else ""


def forget_keys(*, older_than: timedelta) -> int:
    """Delete the keys of messages that are older than the time within which a repetition is recognised."""
    with connection.cursor() as cursor:
        cursor.execute(
            "delete from event_key where ('x' || left(replace(event_id::text, '-', ''), 12))::bit(48)::bigint"
            " < extract(epoch from clock_timestamp() - make_interval(secs => %s)) * 1000",
            [older_than.total_seconds()],
        )
        return int(cursor.rowcount)


def forget_people(profile_ids: Sequence[UUID], *, limit: int) -> int:
    """Delete some events of people who are being erased, with their keys; how many. In the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "delete from event where id = any(array(select id from event where profile_id = any(%s) limit %s))"
            " returning source_kind, source_id, message_id",
            [list(profile_ids), limit],
        )
        gone = cursor.fetchall()
        _forget_keys_of(cursor, gone)
    return len(gone)


_NOBODYS = """
    delete from event e
     where e.id > %(after)s and e.id <= %(last)s and e.profile_id is null
       and (e.payload::text ilike any(%(patterns)s)
            or exists (select from unnest(%(keys)s::text[], %(keyed)s::text[]) i(key, value)
                        where lower(e.payload ->> i.key) = i.value))
    returning source_kind, source_id, message_id
"""


def forget_nobodys(mentions: Mentions, *, after: UUID, limit: int) -> tuple[UUID | None, int]:
    """Delete what names a person among the next `limit` events that belong to nobody; in the caller's transaction.

    The last event that was looked at (None: there are no more), and how many were deleted.
    """
    with connection.cursor() as cursor:
        cursor.execute("select id from event where id > %s order by id offset %s limit 1", [after, limit - 1])
        row = cursor.fetchone()
        if row is None:
            cursor.execute("select id from event where id > %s order by id desc limit 1", [after])
            row = cursor.fetchone()
        if row is None:
            return None, 0
        cursor.execute(_NOBODYS, {**mentions.parameters(), "after": after, "last": row[0]})
        gone = cursor.fetchall()
        _forget_keys_of(cursor, gone)
    last: UUID = row[0]
    return last, len(gone)


def _forget_keys_of(cursor: Any, gone: Sequence[tuple[str, int, str]]) -> None:
    keys = [event_key(kind, source_id, message_id) for kind, source_id, message_id in gone]
    if keys:
        cursor.execute("delete from event_key where key = any(%s)", [keys])
