"""What an exported profile means for people at Customer.io: the operations, in their order, that bring them in step.

- Dates become Unix seconds; texts, numbers, booleans and lists of them stay. What is empty is removed with an empty
  text. Only `unsubscribed` and the subscription preferences are left alone then: nobody who left is subscribed again
  because a property is empty.
- A group is an attribute of its own, true or false: `in_lapsed_customers`. In Customer.io's segments and branches that
  is the simplest condition, a change of it can trigger a campaign, and it works in Liquid without a loop. A list of
  names would be one value of at most 1,000 bytes, changed as a whole by each group.
- A person is moved to another key by merging: the new person is made, the old one merged into it (with events,
  journeys and what it had unsubscribed from), and then written. Customer.io merges only what it has taken in already,
  so what may be left under the old key is removed in the mode `sync`, and loses its groups in `additive`. Where nothing
  may be made, nothing is merged either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from plugins.contracts import Halt, ProfileExport, Reject, SyncMode, Target
from plugins.customerio.calling import Operation

KEYS = ("id", "email")

_SYSTEM = ("cio_id", "anonymous_id")  # set by Customer.io, or by its clients
_OWN_CHOICE = ("unsubscribed", "cio_subscription_preferences")
_LONGEST_NAME = 150  # bytes
_NO_WORD = re.compile(r"\W+")
_REMOVED = ""
_ONLY_EXISTING: Mapping[str, Any] = {"_update": True}


def check_target(target: Target) -> None:
    """Raises `Halt` for a key or names that Customer.io cannot take."""
    check_key(target.key_field)
    for field in target.fields:
        if field.startswith("_") or field in _SYSTEM:
            raise Halt(f"Customer.io keeps the attribute {field} for itself: choose another name in the export.")
    names = [name_group(group) for group in target.groups]
    for name in (*target.fields, *names):
        if len(name.encode()) > _LONGEST_NAME:
            raise Halt(f"The name of an attribute has at most {_LONGEST_NAME} bytes, “{name}” has more: shorten it.")
    for name, group in zip(names, target.groups, strict=True):
        if names.count(name) > 1 or name in target.fields:
            raise Halt(
                f"The group “{group}” would be the attribute {name}, which is there already: rename one of them."
            )


def check_key(field: str) -> None:
    """Raises `Halt` for a key field that is no identifier."""
    if field not in KEYS:
        raise Halt(f"Customer.io knows people by id or email: call the key field so, not “{field}”.")


def name_group(group: str) -> str:
    """The attribute that says whether a person is in the group."""
    return f"in_{_NO_WORD.sub('_', group.casefold()).strip('_')}"


def plan(item: ProfileExport, target: Target) -> list[Operation]:
    """The operations for one profile; each waits until the one before it was accepted. Raises `Reject`."""
    old = _read_key(item.old, target) if item.release_old_key else ""
    if item.new is None:
        return _let_go(old, item, target) if old else []
    new = _read_key(item.new, target)
    if not new:
        raise Reject(f"There is no {target.key_field}, by which Customer.io knows a person.")
    write = identify(target, new, write_attributes(item, target))
    if not old or _fold(target, old) == _fold(target, new):
        return [write]
    if target.mode is SyncMode.ENRICH:
        return [*_let_go(old, item, target), write]
    return [identify(target, new), _merge(target, old, into=new), *_let_go(old, item, target), write]


def identify(target: Target, key: str, attributes: Mapping[str, Any] | None = None) -> Operation:
    """Make or update a person."""
    more = {} if attributes is None else {"attributes": attributes}
    return {"type": "person", "action": "identify", "identifiers": {target.key_field: key}, **more}


def write_attributes(item: ProfileExport, target: Target) -> dict[str, Any]:
    """All attributes that an export writes, groups among them."""
    payload = item.new or {}
    attributes: dict[str, Any] = {}
    for field, value_type in target.fields.items():
        value = write_value(field, payload.get(field), value_type)
        if field != target.key_field and not (value == _REMOVED and field in _OWN_CHOICE):
            attributes[field] = value
    attributes |= _without_groups(item.old_groups)
    attributes |= {name_group(group): False for group in target.groups}
    attributes |= {name_group(group): True for group in item.new_groups}
    if target.mode is SyncMode.ENRICH:
        attributes |= _ONLY_EXISTING
    return attributes


def write_value(field: str, value: Any, value_type: str) -> Any:
    """A payload's value as an attribute. Raises `Reject`."""
    if isinstance(value, list):
        return [write_value(field, each, value_type) for each in value if each is not None] or _REMOVED
    if value is None or value_type != "date":
        return _REMOVED if value is None else value
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise Reject(f"The attribute {field} takes a date, not “{str(value)[:60]}”.") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _let_go(old: str, item: ProfileExport, target: Target) -> list[Operation]:
    """What becomes of the person under a key that is not ours any more."""
    if target.mode is SyncMode.SYNC:
        return [{"type": "person", "action": "delete", "identifiers": {target.key_field: old}}]
    groups = _without_groups([*target.groups, *item.old_groups])
    return [identify(target, old, {**groups, **_ONLY_EXISTING})] if groups else []


def _merge(target: Target, old: str, *, into: str) -> Operation:
    return {
        "type": "person",
        "action": "merge",
        "primary": {target.key_field: into},
        "secondary": {target.key_field: old},
    }


def _without_groups(groups: Iterable[str]) -> dict[str, Any]:
    return {name_group(group): _REMOVED for group in groups}


def _read_key(payload: Mapping[str, Any] | None, target: Target) -> str:
    value = (payload or {}).get(target.key_field)
    return "" if value is None else str(value).strip()


def _fold(target: Target, key: str) -> str:
    return key.casefold() if target.key_field == "email" else key
