"""Reads one item that a program sent as an event. Pure; `events/inbox.py` is its only caller.

Two shapes are read. An object with a "payload" is an envelope: the payload, and beside it any of `message_id`, `type`
and `occurred_at`. Any other object is the payload itself: {"user_id": 3} is an event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from core.lib.storable import find_problem, find_problem_in_text
from profiles.dates import date_from_number, date_from_text
from profiles.rejected import Rejected

_BESIDE = frozenset({"payload", "message_id", "type", "occurred_at"})
_EXAMPLE = "2026-01-31T12:30:00Z"
_LONGEST = 200  # characters of a message id or a type


class Unreadable(Exception):
    """This item cannot be taken; the text is a sentence for whoever sends it."""


@dataclass(frozen=True, slots=True)
class Arriving:
    """An item that can be stored. `payload` is JSON text; "" and None stand for what the item left out."""

    message_id: str
    type: str
    occurred_at: str | None
    payload: bytes


def read_item(item: Any, *, max_bytes: int) -> Arriving:
    """The event that `item`, a value read from JSON, stands for. Raises Unreadable."""
    if not isinstance(item, dict):
        raise Unreadable(f'An event is an object such as {{"user_id": 3}}, not {_kind(item)}.')
    if "payload" not in item:
        return Arriving("", "", None, _read_payload(item, max_bytes))
    if more := sorted(str(key) for key in item.keys() - _BESIDE):
        raise Unreadable(f"Beside its payload an event has no {ascii(more[0])[:60]}. Move it into the payload.")
    payload = item["payload"]
    if not isinstance(payload, dict):
        raise Unreadable(f"The payload has to be an object, not {_kind(payload)}.")
    return Arriving(
        message_id=_read_text(item, "message_id"),
        type=_read_text(item, "type"),
        occurred_at=_read_time(item.get("occurred_at")),
        payload=_read_payload(payload, max_bytes),
    )


def _read_payload(payload: dict[str, Any], max_bytes: int) -> bytes:
    if problem := find_problem(payload):
        raise Unreadable(f"The payload {problem}.")
    text = orjson.dumps(payload)
    if len(text) > max_bytes:
        raise Unreadable(f"The payload has {len(text):,} bytes; at most {max_bytes:,} are taken. Send a smaller event.")
    return text


def _read_text(item: dict[str, Any], field: str) -> str:
    value = item.get(field)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise Unreadable(f"The {field} has to be a text of at most {_LONGEST} characters.")
    if problem := find_problem_in_text(value):
        raise Unreadable(f"The {field} {problem}.")
    return value.strip()


def _read_time(value: Any) -> str | None:
    """ISO 8601 or epoch seconds, or what else a date property takes; None when there is none."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str):
            return date_from_text(value.strip(), region="US")
        if isinstance(value, int | float) and not isinstance(value, bool):
            return date_from_number(value)
    except Rejected as error:
        raise Unreadable(f"The occurred_at is {error.reason}. Write it as {_EXAMPLE}.") from None
    raise Unreadable(f"The occurred_at has to be a time such as {_EXAMPLE}, not {_kind(value)}.")


def _kind(value: Any) -> str:
    names = {str: "a text", bool: "true or false", int: "a number", float: "a number", list: "a list"}
    return names.get(type(value), "null")
