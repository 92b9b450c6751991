"""One inbound event on its way through the pipeline: the same for a row that a Run found and for a call to the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import md5
from typing import Any
from uuid import UUID

from events.models import SourceKind


@dataclass(slots=True)  # not frozen: that makes them at half the speed
class InboundEvent:
    """An event before it is processed.

    `id` is set for events that were accepted at a door (their key is taken already); an import's rows get theirs in
    the pipeline. `payload_text` is the payload's JSON as it came, where that is at hand. `saves` names the keys that
    may be saved, None meaning every key that has a rule. `carried` holds, by property key, the answers of column rules
    that came along with the row, read at `read_at`.
    """

    message_id: str
    type: str
    occurred_at: datetime
    received_at: datetime
    source_kind: str
    source_id: int
    payload: Mapping[str, Any]
    id: UUID | None = None
    payload_text: str | None = None
    saves: frozenset[str] | None = None
    may_create: bool = True
    carried: Mapping[str, Any] | None = None
    read_at: datetime | None = None
    is_replay: bool = False  # it is stored already; what becomes of it now takes that place


def event_key(source_kind: str, source_id: int, message_id: str) -> UUID:
    """What makes the same message from the same source one event.

    The message ids of import Runs name their schedule or their run themselves: a row that an earlier run of the same
    schedule has taken is known.
    """
    return UUID(event_key_text(source_kind, source_id, message_id))


def event_key_text(source_kind: str, source_id: int, message_id: str) -> str:
    """The same as 32 hexadecimal digits, which the pipeline needs no more of."""
    if source_kind == SourceKind.RUN:
        source_id = 0
    return md5(f"{source_kind}:{source_id}:{message_id}".encode(), usedforsecurity=False).hexdigest()
