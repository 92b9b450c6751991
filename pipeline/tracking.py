"""Calls of the tracking API, as the client libraries of the Segment and RudderStack family send them, become events.

Pure. `pipeline/tracking_views.py` is the door. An item of a batch, or the body of a single call, becomes an envelope as
`events/arriving.py` reads it:

    identify   traits                  under the keys of the properties they mean: firstName sets first_name
    group      groupId and traits      the same; a trait that would identify someone else does not
    track      properties              type = the event's name
    page, screen                       type "page", "screen"; name, category and properties
    alias      previousId -> userId    the two become one person

userId goes under the key that the project's settings name, anonymousId under `_anonymous_id`. What else came along is
kept on the event under keys that begin with an underscore, which no property has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.lib.names import fold_name
from profiles.dates import date_from_number, date_from_text
from profiles.naming import DEVICE, PREVIOUS
from profiles.rejected import Rejected
from profiles.ruleset import RuleSet

CALLS = ("identify", "track", "page", "screen", "group", "alias")
NOBODY = "Neither userId nor anonymousId is given: say who it is about."
_OWN = {  # what a call has of its own beside userId, anonymousId, context and times
    "page": ("name", "category"),
    "screen": ("name", "category"),
}


class BadCall(Exception):
    """This item cannot be taken; the text is a sentence for whoever sends it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What the items of one request share."""

    received_at: datetime
    sent_at: datetime | None
    context: Mapping[str, Any]
    integrations: Mapping[str, Any]
    keeps_times: bool  # an import of history says when things happened; other clocks are corrected


@dataclass(frozen=True, slots=True)
class Names:
    """The keys that items are matched to. `folded`: those of properties by what people mean; `unique`: identities."""

    user_id: str
    folded: Mapping[str, str]
    unique: frozenset[str]

    @classmethod
    def of(cls, rules: RuleSet, *, user_id: str) -> Names:
        """Those of the rules in use."""
        keys = [rule.key for rule in rules.rules]
        return cls(user_id, {fold_name(key): key for key in keys}, frozenset(rule.key for rule in rules.unique))


def read_batch(body: Mapping[str, Any], *, received_at: datetime, keeps_times: bool) -> Batch:
    """What stands beside the items of a batch; of a single call, the call itself."""
    return Batch(
        received_at=received_at,
        sent_at=_time(body.get("sentAt")),
        context=_object(body.get("context")),
        integrations=_object(body.get("integrations")),
        keeps_times=keeps_times,
    )


def read_call(item: Any, batch: Batch, names: Names, *, call: str = "") -> dict[str, Any]:
    """The envelope of one item. `call` is what its address says; the items of a batch say it themselves.

    Raises BadCall.
    """
    if not isinstance(item, dict):
        raise BadCall("An item has to be an object.")
    kind = call or item.get("type")
    if kind not in CALLS:
        raise BadCall(f"{str(kind)[:40]!r} is not a call; one of {', '.join(CALLS)} is.")
    payload = _payload(kind, item, names)
    user, device = _id(item.get("userId")), _id(item.get("anonymousId"))
    if user is None and device is None:
        raise BadCall(NOBODY)
    if user is not None:
        _set_aside(payload, names.user_id, "traits" if kind in ("identify", "group") else "properties")
        payload[names.user_id] = user
    if device is not None:
        payload[DEVICE] = str(device)
    context = {**batch.context, **_object(item.get("context"))}
    integrations = {**batch.integrations, **_object(item.get("integrations"))}
    payload |= {key: value for key, value in (("_context", context), ("_integrations", integrations)) if value}
    message = item.get("messageId")
    return {
        "message_id": str(message) if isinstance(message, str | int) and not isinstance(message, bool) else None,
        "type": _type(kind, item),
        "occurred_at": _occurred_at(item, batch).isoformat(),
        "payload": payload,
    }


def _type(kind: str, item: Mapping[str, Any]) -> str:
    if kind != "track":
        return kind
    name = item.get("event")
    if not isinstance(name, str) or not name.strip():
        raise BadCall("A track call needs the name of its event.")
    return name.strip()[:200]


def _payload(kind: str, item: Mapping[str, Any], names: Names) -> dict[str, Any]:
    if kind == "identify":
        told = _object(_object(item.get("context")).get("traits"))  # RudderStack's clients say it there
        return _matched({**told, **_object(item.get("traits"))}, names)
    if kind == "group":
        group = _id(item.get("groupId"))
        if group is None:
            raise BadCall("A group call needs a groupId.")
        return {**_safe(_matched(_object(item.get("traits")), names), names, "traits"), "group_id": group}
    if kind == "alias":
        previous = _id(item.get("previousId"))
        if previous is None:
            raise BadCall("An alias call needs a previousId.")
        return {PREVIOUS: str(previous)}
    own = {key: item[key] for key in _OWN.get(kind, ()) if item.get(key) is not None}
    return {**_safe(_object(item.get("properties")), names, "properties"), **own}


def _matched(traits: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """Traits under the keys of the properties that they mean; one that is named exactly so goes first."""
    payload: dict[str, Any] = {}
    for name, value in traits.items():
        key = names.folded.get(fold_name(name), name)
        payload[name if key != name and (key in traits or key in payload) else key] = value
    return _unreserved(payload, "traits")


def _safe(given: Mapping[str, Any], names: Names, where: str) -> dict[str, Any]:
    """What happened says nothing of who it happened to: an email among the properties may be anyone's."""
    return _unreserved({f"{where}.{key}" if key in names.unique else key: value for key, value in given.items()}, where)


def _unreserved(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    return {f"{where}.{key}" if key.startswith("_") else key: value for key, value in given.items()}


def _set_aside(payload: dict[str, Any], key: str, where: str) -> None:
    if key in payload:
        payload[f"{where}.{key}"] = payload.pop(key)


def _object(value: Any) -> dict[str, Any]:
    return {str(key): each for key, each in value.items()} if isinstance(value, dict) else {}


def _id(value: Any) -> str | int | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return value.strip() or None if isinstance(value, str) else value


def _occurred_at(item: Mapping[str, Any], batch: Batch) -> datetime:
    """The client's time, corrected by how far its clock was off when it sent; never later than the arrival."""
    own = _time(item.get("originalTimestamp")) or _time(item.get("timestamp"))
    if own is None:
        return batch.received_at
    sent = None if batch.keeps_times else _time(item.get("sentAt")) or batch.sent_at
    try:
        return min(own if sent is None else batch.received_at - (sent - own), batch.received_at)
    except OverflowError:
        return batch.received_at


def _time(value: Any) -> datetime | None:
    """A point in time however it is written; what is none is left out, since the arrival is known."""
    try:
        if isinstance(value, str) and value.strip():
            return datetime.fromisoformat(date_from_text(value.strip(), region="US"))
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromisoformat(date_from_number(value))
    except (Rejected, ValueError):
        return None
    return None


def now() -> datetime:
    """The time of an arrival, before the database's own clock says it for good."""
    return datetime.now(UTC)
