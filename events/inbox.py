"""Where events wait: the door's side of it. Nothing else adds to `Inbox`; `pipeline/inbox.py` takes out of it.

What `accept` answers is durable: the rows and their keys are committed before it returns.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg2 import errorcodes

from core.lib import uuid7
from core.lib.json import loads
from core.work.wake import wake
from events import store
from events.arriving import Arriving, Unreadable, read_item
from events.envelope import event_key
from profiles import ruleset, suppression
from profiles.naming import identities_in

_ATTEMPTS = 3
_RETRIED = (errorcodes.DEADLOCK_DETECTED, errorcodes.SERIALIZATION_FAILURE)

# One statement for the whole batch; the payloads stay the texts they were serialized to.
_STORE = """
insert into inbox (id, message_id, type, occurred_at, received_at, source_kind, source_id, payload, attempts, error)
select id, message_id, type, coalesce(occurred_at, %(received)s), %(received)s, %(source_kind)s, %(source_id)s,
       payload, 0, ''
  from json_to_recordset(%(rows)s::json)
    as r(id uuid, message_id text, type text, occurred_at timestamptz, payload json)
"""

_TAKE = """
insert into event_key (key, event_id) select * from unnest(%s::uuid[], %s::uuid[])
on conflict do nothing returning key, event_id
"""


_COUNTED_SECONDS = 1.0
_NONE: Mapping[int, str] = {}


@dataclass(slots=True)
class _Backlog:
    """How many events waited when this process last counted, and until when that holds."""

    waiting: int = 0
    until: float = 0.0


_backlog = _Backlog()


class FateKind(StrEnum):
    """What became of one item at the door."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Fate:
    """The answer for one item. `id` is the event's, of a duplicate the first one's; `reason` is for rejected ones.

    `is_erased`: it was rejected because it names someone who was erased, so nothing of it may be kept anywhere.
    """

    kind: FateKind
    id: UUID | None = None
    message_id: str = ""
    reason: str = ""
    is_erased: bool = False


_ERASED = Fate(FateKind.REJECTED, reason=suppression.ERASED, is_erased=True)


class Full(Exception):
    """More waits than the product wants to hold; try again after `seconds`."""

    seconds = 10

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting:,} events wait to be processed already. Send again in {self.seconds} seconds.")


def accept(
    items: Sequence[Any],
    *,
    source_kind: str,
    source_id: int,
    max_bytes: int = 0,
    keeps_rejected: bool = False,
    refused: Mapping[int, str] = _NONE,
) -> list[Fate]:
    """Take events in, as they were read from JSON; one fate for each, in order. Raises Full, with nothing stored.

    Accepted events are committed when this returns, each message once, also against other requests at the same time.
    A bad item does not sink the others; with `keeps_rejected` it is stored with the reason, for senders that read no
    answers. `refused` gives, by place, items that the caller found unreadable, with the reason. Call it outside of
    transactions.
    """
    _refuse_when_full()
    limit = max_bytes or settings.EVENT_MAX_BYTES
    read = [
        Fate(FateKind.REJECTED, reason=refused[index]) if index in refused else _read(item, max_bytes=limit)
        for index, item in enumerate(items)
    ]
    _refuse_erased(items, read, keeps_rejected=keeps_rejected)
    good = {index: item for index, item in enumerate(read) if isinstance(item, Arriving)}
    settled = _store_with_retries(good, source_kind=source_kind, source_id=source_id) if good else {}
    fates = [item if isinstance(item, Fate) else settled[index] for index, item in enumerate(read)]
    if keeps_rejected:
        kept = [
            (item, fate.reason)
            for item, fate in zip(items, fates, strict=True)
            if fate.kind is FateKind.REJECTED and not fate.is_erased
        ]
        if kept:
            store.keep_refused(kept, source_kind=source_kind, source_id=source_id)
    return fates


def _refuse_erased(items: Sequence[Any], read: list[Arriving | Fate], *, keeps_rejected: bool) -> None:
    """Give the items that name someone who was erased that fate: two look-ups, none while nobody ever was."""
    rules = ruleset.load()
    if rules.suppression_key is None:
        return
    named = {}
    for index, (item, each) in enumerate(zip(items, read, strict=True)):
        payload = loads(each.payload) if isinstance(each, Arriving) else _payload_of(item) if keeps_rejected else None
        if isinstance(payload, dict):
            named[index] = identities_in(payload, rules)
    gone = suppression.find(set().union(*named.values()), rules)
    for index, identities in named.items():
        if not gone.isdisjoint(identities):
            read[index] = _ERASED


def _payload_of(item: Any) -> Any:
    """What would be kept of an item that cannot be taken."""
    return item["payload"] if isinstance(item, dict) and isinstance(item.get("payload"), dict) else item


def _refuse_when_full() -> None:
    """Raise Full past the backlog that the setting allows; it is counted at most once a second in each process."""
    now = time.monotonic()
    if now >= _backlog.until:
        _backlog.waiting, _backlog.until = count_waiting(most=settings.INBOX_LIMIT), now + _COUNTED_SECONDS
    if _backlog.waiting >= settings.INBOX_LIMIT:
        raise Full(_backlog.waiting)


def count_waiting(*, most: int) -> int:
    """How many events wait, counted up to `most`."""
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from (select from inbox limit %s) waiting", [most])
        return int(cursor.fetchone()[0])


def _read(item: Any, *, max_bytes: int) -> Arriving | Fate:
    try:
        return read_item(item, max_bytes=max_bytes)
    except Unreadable as error:
        return Fate(FateKind.REJECTED, reason=str(error))


def _store_with_retries(good: dict[int, Arriving], *, source_kind: str, source_id: int) -> dict[int, Fate]:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _store(good, source_kind=source_kind, source_id=source_id)
        except OperationalError as error:
            if attempt == _ATTEMPTS or getattr(error.__cause__, "pgcode", None) not in _RETRIED:
                raise
    raise AssertionError


def _store(good: dict[int, Arriving], *, source_kind: str, source_id: int) -> dict[int, Fate]:
    """One transaction: ids by the database's clock, keys in their order, then the rows whose keys were won."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("select clock_timestamp()")
        received = cursor.fetchone()[0]
        ids = dict(zip(good, uuid7.make_many(received, len(good)), strict=True))
        messages = {index: item.message_id or str(ids[index]) for index, item in good.items()}
        keys = {index: event_key(source_kind, source_id, message) for index, message in messages.items()}
        first: dict[UUID, UUID] = {}
        for index, key in keys.items():
            first.setdefault(key, ids[index])
        owners = _take_keys(cursor, first)
        won = [index for index, key in keys.items() if owners[key] == ids[index]]
        rows = [
            {
                "id": ids[index],
                "message_id": messages[index],
                "type": good[index].type,
                "occurred_at": good[index].occurred_at,
                "payload": orjson.Fragment(good[index].payload),
            }
            for index in won
        ]
        if rows:
            cursor.execute(
                _STORE,
                {
                    "rows": orjson.dumps(rows).decode(),
                    "received": received,
                    "source_kind": source_kind,
                    "source_id": source_id,
                },
            )
            wake("inbox")
    winners = set(won)
    return {
        index: Fate(FateKind.ACCEPTED if index in winners else FateKind.DUPLICATE, owners[keys[index]], messages[index])
        for index in good
    }


def _take_keys(cursor: Any, wanted: dict[UUID, UUID]) -> dict[UUID, UUID]:
    """Take each key for its event unless it is taken; the event that holds it now, by key.

    Keys go in sorted, so that requests with the same messages wait for each other instead of deadlocking. A key that
    was forgotten between the two statements is asked for again.
    """
    owners: dict[UUID, UUID] = {}
    while left := sorted(wanted.keys() - owners.keys(), key=attrgetter("bytes")):
        cursor.execute(_TAKE, [_as_array(left), _as_array([wanted[key] for key in left])])
        if cursor.rowcount == len(left):
            owners.update((key, wanted[key]) for key in left)
            break
        owners.update(cursor.fetchall())
        cursor.execute("select key, event_id from event_key where key = any(%s::uuid[])", [_as_array(left)])
        owners.update(cursor.fetchall())
    return owners


def _as_array(ids: Sequence[UUID]) -> str:
    return "{" + ",".join([each.hex for each in ids]) + "}"


def is_any_older(at: datetime) -> bool:
    """Whether anything waits that arrived before then."""
    with connection.cursor() as cursor:
        cursor.execute("select exists (select from inbox where id < %s)", [uuid7.lowest(at)])
        return bool(cursor.fetchone()[0])
