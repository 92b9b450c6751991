"""Forwarding events to people at Customer.io.

An event's name is its type, of which Customer.io takes 100 bytes: a longer one is cut, and the whole type goes along as
the property `event_type`. Its properties are the body as it is, so `event.profile.first_name` works in Liquid. Only
`recipient`, `from_address` and `reply_to` are called `event_recipient` and so on: to Customer.io they would say where
the messages go that the event triggers, and whoever may send events could have someone's mail sent elsewhere. Events
older than 72 hours trigger nothing.

Customer.io tells repeated events by their id, which has to be a ULID: it is made of the event's time and the id that
the product gives it, the same however often it is sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import ClassVar

from plugins.base import ForwardsEvents
from plugins.contracts import OutboundItem, Outcome, OutcomeKind, Reject
from plugins.customerio.app import CustomerioApp
from plugins.customerio.batches import Sending
from plugins.customerio.calling import Operation

_LONGEST_NAME = 100  # bytes
_REDIRECTING = frozenset({"recipient", "from_address", "reply_to"})
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's, as a ULID has them


class CustomerioForwards(CustomerioApp, ForwardsEvents):
    """The part of the plugin that takes outbound events."""

    repeatable: ClassVar[bool] = True
    event_batch_size: ClassVar[int] = 100

    def forward(self, batch: Sequence[OutboundItem]) -> Sequence[Outcome]:
        outcomes: dict[int, Outcome] = {}
        events: dict[int, Operation] = {}
        for place, item in enumerate(batch):
            try:
                events[place] = write_event(item, self._find_person(item))
            except Reject as error:
                outcomes[place] = Outcome(OutcomeKind.REJECT, error.reason)
        outcomes |= Sending(self.line).send(events)
        return [outcomes[place] for place in range(len(batch))]

    def _find_person(self, item: OutboundItem) -> Mapping[str, str]:
        key = str(self.options.get("identifier_property") or "email")
        profile = item.body.get("profile")
        found = item.identities.get(key)
        if found is None and isinstance(profile, Mapping):
            found = profile.get(key)
        if found is None or not str(found).strip():
            raise Reject(f"The profile has no {key}, by which Customer.io knows a person.")
        return {str(self.options.get("identifier") or "email"): str(found).strip()}


def write_event(item: OutboundItem, person: Mapping[str, str]) -> Operation:
    """An event as Customer.io takes it."""
    name = item.type.strip().encode()[:_LONGEST_NAME].decode(errors="ignore").strip() or "event"
    properties = {f"event_{key}" if key in _REDIRECTING else key: value for key, value in item.body.items()}
    if name != item.type:
        properties.setdefault("event_type", item.type)
    return {
        "type": "person",
        "action": "event",
        "identifiers": person,
        "name": name,
        "id": make_ulid(item),
        "timestamp": int(item.occurred_at.timestamp()),
        "attributes": properties,
    }


def make_ulid(item: OutboundItem) -> str:
    """48 bits of time in milliseconds and 80 bits of the id's hash."""
    milliseconds = max(0, int(item.occurred_at.timestamp() * 1000))
    number = milliseconds << 80 | int.from_bytes(hashlib.sha256(item.id.encode()).digest()[:10], "big")
    return "".join(_DIGITS[number >> shift & 31] for shift in range(125, -1, -5))
