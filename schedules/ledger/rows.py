"""A row of the ledger as whoever sends it gets it. Reads no table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from core.lib.json import dumps, loads

# In the order of `OwedRow.of`. Ids as text, which is how plugins get them.
COLUMNS = (
    "r.profile_id::text, r.key, r.payload, r.group_names, r.owed_key, r.owed_payload, r.owed_group_names, r.may_hold,"
    " r.attempts, r.next_at, r.change_id::text"
)


class Held(NamedTuple):
    """What the destination holds, or may hold, under one key."""

    key: str
    payload: Mapping[str, Any]
    groups: tuple[str, ...]


class OwedRow(NamedTuple):
    """A row claimed for sending. `owed` None is a removal; `held` None means that nothing was ever accepted."""

    profile: str
    held: Held | None
    owed: Held | None
    may_hold: tuple[Held, ...]
    attempts: int
    next_at: datetime
    change: str | None  # names what is owed, however often it is sent


def read_row(
    profile: str,
    key: str | None,
    payload: str | None,
    groups: str | None,
    owed_key: str | None,
    owed_payload: str | None,
    owed_groups: str | None,
    may_hold: str | None,
    attempts: int,
    next_at: datetime,
    change: str | None,
) -> OwedRow:
    """A row from its `COLUMNS`."""
    return OwedRow(
        profile,
        None if key is None else Held(key, loads(payload or "{}"), _read_groups(groups)),
        None if owed_key is None else Held(owed_key, loads(owed_payload or "{}"), _read_groups(owed_groups)),
        _read_list(may_hold) if may_hold else (),
        attempts,
        next_at,
        change,
    )


def remember(row: OwedRow) -> tuple[Held, ...]:
    """What the destination may hold besides after a call for this row that was not answered."""
    sent = row.owed or row.held
    if sent is None:
        return row.may_hold
    return (*(held for held in row.may_hold if held.key != sent.key), sent)


def write_ids(ids: Sequence[str]) -> str:
    """Ids as an array of the database: as one text, where the driver would take longer to quote each."""
    return "{" + ",".join(ids) + "}"


def write_list(may_hold: Sequence[Held]) -> str | None:
    """What `may_hold` is in the database; null when there is nothing."""
    if not may_hold:
        return None
    return dumps([{"key": held.key, "payload": held.payload, "groups": list(held.groups)} for held in may_hold])


def _read_list(may_hold: str) -> tuple[Held, ...]:
    return tuple(Held(each["key"], each["payload"], tuple(each["groups"] or ())) for each in loads(may_hold))


@lru_cache(maxsize=1024)
def _read_groups(groups: str | None) -> tuple[str, ...]:
    """Most rows of a batch are in the same groups."""
    return tuple(loads(groups or "[]"))
