"""What a receiver is told of one profile: all that it should hold from now on, never the difference to what it held.

So a message can be taken twice, and one that is sent again after a call without an answer is the same to the letter:
what the receiver held before it is not part of it, since after such a call nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

from core.lib.json import dumps
from plugins.contracts import ProfileExport, SyncMode, Target

UPSERT, UPDATE, REMOVE = "upsert", "update", "remove"
_OURS = UUID("4d0f7a8e-5f0b-4c1c-9d53-1f8f3f0f6c2b")  # so that ids of messages are no one else's

Message = Mapping[str, Any]


def read_message(item: ProfileExport, target: Target) -> Message | None:
    """The message about one profile; None when there is nothing to tell. Raises `NotStorable`.

    Where nothing may be removed, a removal takes the groups away and leaves the rest.
    """
    old = item.old if item.release_old_key else None
    state = old if item.new is None else item.new
    if state is None:  # nothing of ours is there, or it is someone else's by now
        return None
    is_removal = item.new is None and target.mode is SyncMode.SYNC
    action = REMOVE if is_removal else UPDATE if target.mode is SyncMode.ENRICH else UPSERT
    key, old_key = state.get(target.key_field), (old or state).get(target.key_field)
    message = {
        "action": action,
        "key": key,
        "old_key": None if old_key == key else old_key,
        "profile": state,
        "groups": list(item.new_groups),
    }
    return {"id": _name(item, target, message), **message}


def name_request(ids: list[str]) -> str:
    """The id of a request that carries these messages."""
    return ids[0] if len(ids) == 1 else str(uuid5(_OURS, " ".join(ids)))


def _name(item: ProfileExport, target: Target, message: Message) -> str:
    """An id that is the same whenever this is sent again.

    Without an id of the change itself, what was there before tells a state from the same one of earlier.
    """
    change = item.id or [item.profile, item.old, list(item.old_groups), dict(target.options)]
    return str(uuid5(_OURS, dumps([change, message])))
