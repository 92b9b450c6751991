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
from django.db import OperationalError, connection
from psycopg2 import errorcodes

from core.lib import uuid7
from core.lib.json import loads
from core.work.wake import wake
from events import store
from events.arriving import Arriving, Unreadable, read_item
from events.envelope import event_key
from profiles import ruleset, suppression
from profiles.naming import identities_in
from profiles.ruleset import RuleSet

_ATTEMPTS = 3
_RETRIED = (errorcodes.DEADLOCK_DETECTED, errorcodes.SERIALIZATION_FAILURE)

# One statement takes the keys, in their order, and stores the rows whose keys were won. The payloads stay the texts
# that they were serialized to.
_STORE = """
with taken as (
    insert into event_key (key, event_id) select * from unnest(%(keys)s::uuid[], %(ids)s::uuid[])
    on conflict do nothing returning event_id
), stored as (
    insert into inbox (id, message_id, type, occurred_at, received_at, source_kind, source_id, payload, attempts, error)
    select r.id, r.message_id, r.type, coalesce(r.occurred_at, %(received)s), %(received)s, %(source_kind)s,
           %(source_id)s, r.payload, 0, ''
      from json_to_recordset(%(rows)s::json)
        as r(id uuid, message_id text, type text, occurred_at timestamptz, payload json)
      join taken on taken.event_id = r.id
)
select event_id from taken
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
    rules, received = ruleset.load_with_time()
    _refuse_erased(items, read, rules, keeps_rejected=keeps_rejected)
    good = {index: item for index, item in enumerate(read) if isinstance(item, Arriving)}
    beside = {"received": received, "source_kind": source_kind, "source_id": source_id}
    settled = _store(good, beside) if good else {}
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


def _refuse_erased(items: Sequence[Any], read: list[Arriving | Fate], rules: RuleSet, *, keeps_rejected: bool) -> None:
    """Give the items that name someone who was erased that fate: one look-up, none while nobody ever was."""
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


def _store(good: dict[int, Arriving], beside: Mapping[str, Any]) -> dict[int, Fate]:
    """Ids by the database's clock; then keys and rows by one statement, which is a transaction of its own."""
    ids = dict(zip(good, uuid7.make_many(beside["received"], len(good)), strict=True))
    messages = {index: item.message_id or str(ids[index]) for index, item in good.items()}
    sender = (beside["source_kind"], beside["source_id"])
    keys = {index: event_key(*sender, message) for index, message in messages.items()}
    first = {key: index for index, key in reversed(keys.items())}
    rows = {
        key: {
            "id": ids[index],
            "message_id": messages[index],
            "type": good[index].type,
            "occurred_at": good[index].occurred_at,
            "payload": orjson.Fragment(good[index].payload),
        }
        for key, index in first.items()
    }
    owners = _take_with_retries(rows, beside)
    won = {index for key, index in first.items() if owners[key] == ids[index]}
    if won:
        wake("inbox")
    return {
        index: Fate(FateKind.ACCEPTED if index in won else FateKind.DUPLICATE, owners[key], messages[index])
        for index, key in keys.items()
    }


def _take_with_retries(rows: Mapping[UUID, Mapping[str, Any]], beside: Mapping[str, Any]) -> dict[UUID, UUID]:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _take(rows, beside)
        except OperationalError as error:
            if attempt == _ATTEMPTS or getattr(error.__cause__, "pgcode", None) not in _RETRIED:
                raise
    raise AssertionError


def _take(rows: Mapping[UUID, Mapping[str, Any]], beside: Mapping[str, Any]) -> dict[UUID, UUID]:
    """Store each row unless its key is taken; the event that holds each key now.

    Keys go in sorted, so that requests with the same messages wait for each other instead of deadlocking. A key that
    was forgotten between the two statements is asked for again.
    """
    owners: dict[UUID, UUID] = {}
    while left := sorted(rows.keys() - owners.keys(), key=attrgetter("bytes")):
        wanted = {key: rows[key]["id"] for key in left}
        given = {
            **beside,
            "keys": _as_array(left),
            "ids": _as_array(list(wanted.values())),
            "rows": orjson.dumps([rows[key] for key in left]).decode(),
        }
        with connection.cursor() as cursor:
            cursor.execute(_STORE, given)
            if cursor.rowcount == len(left):
                return owners | wanted
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
