"""What events should come to, one at a time, in plain Python: who they are about, what is known of them, who is whom.

Written from the words of the domain alone, without a line of the product, so that the two can be compared. It knows
`user_id` (rank 1) and `email` (rank 2), anonymous ids, a former id, and values of any other key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

UNIQUE = ("user_id", "email")  # by rank
DEVICE, PREVIOUS = "_anonymous_id", "_previous_id"

Identity = tuple[str, str]  # the key and the value as text
When = tuple[Any, int]  # an own time, and the place among the arrivals


@dataclass(eq=False)
class Somebody:
    """A person: the values with their times; a key that was emptied keeps its time."""

    values: dict[str, tuple[Any, When]] = field(default_factory=dict)
    has_absorbed: bool = False

    def value(self, key: str) -> Any:
        """What is known of them."""
        return self.values.get(key, (None, None))[0]

    @property
    def known(self) -> dict[str, Any]:
        """What is known of them, without what is empty."""
        return {key: value for key, (value, _) in self.values.items() if value is not None}

    @property
    def is_anonymous(self) -> bool:
        """Whether nothing but devices leads to them."""
        return all(self.value(key) is None for key in UNIQUE)


@dataclass
class World:
    """Everybody. `told` gives the person of each message, as it was when the message came."""

    most_devices: int
    people: list[Somebody] = field(default_factory=list)
    owners: dict[Identity, Somebody] = field(default_factory=dict)
    told: dict[str, Somebody] = field(default_factory=dict)
    parts: dict[int, Somebody] = field(default_factory=dict)  # by id(): who someone became part of
    conflicts: int = 0
    nobody: int = 0

    def hear(self, message: str, payload: Mapping[str, Any], when: When) -> None:
        """One event."""
        person = self._find(payload)
        if person is None:
            self.nobody += 1
            return
        self.told[message] = person
        for key, value in payload.items():
            if not key.startswith("_"):
                self._take(person, key, None if value == "" else value, when)
        if payload.get(DEVICE):
            self._take_device(person, (DEVICE, payload[DEVICE]))
        if payload.get(PREVIOUS):
            self._take_former(person, payload[PREVIOUS])

    def _find(self, payload: Mapping[str, Any]) -> Somebody | None:
        named = [(key, str(payload[key])) for key in UNIQUE if payload.get(key) is not None]
        device = self.owners.get((DEVICE, payload.get(DEVICE) or ""))
        owners = list(dict.fromkeys(owner for each in named if (owner := self.owners.get(each)) is not None))
        if owners:
            winner = owners[0]
            if device is not None and device is not winner and device.is_anonymous:
                self._merge(winner, device)
            self.conflicts += len(owners) > 1
            return winner
        if device is not None and not any(
            device.value(key) is not None and str(device.value(key)) != value for key, value in named
        ):
            return device
        if not named and not payload.get(DEVICE):
            return None
        person = Somebody()
        self.people.append(person)
        return person

    def _take(self, person: Somebody, key: str, value: Any, when: When) -> None:
        if key in UNIQUE and value is not None and self.owners.get((key, str(value)), person) is not person:
            return  # it belongs to somebody else
        held, since = person.values.get(key, (None, None))
        if since is not None and when < since:
            return
        person.values[key] = (value, when)
        if key in UNIQUE and value != held:
            if held is not None and not person.has_absorbed:
                self.owners.pop((key, str(held)), None)
            if value is not None:
                self.owners[key, str(value)] = person

    def _take_device(self, person: Somebody, device: Identity) -> None:
        own = sum(key == DEVICE and owner is person for (key, _), owner in self.owners.items())
        if device not in self.owners and own < self.most_devices:
            self.owners[device] = person

    def _take_former(self, person: Somebody, former: str) -> None:
        meant = [(DEVICE, former), *([("user_id", former)] if former.isdecimal() else [])]
        for identity in meant:
            other = self.owners.get(identity)
            if other is not None and other is not person:
                self._merge(person, other)
        if all(identity not in self.owners for identity in meant):
            self._take_device(person, (DEVICE, former))

    def _merge(self, winner: Somebody, loser: Somebody) -> None:
        for key, (value, when) in loser.values.items():
            is_missing = key not in UNIQUE or winner.value(key) is None
            if value is not None and is_missing and when > winner.values.get(key, (None, (when[0], -1)))[1]:
                winner.values[key] = (value, when)
        for identity, owner in self.owners.items():
            if owner is loser:
                self.owners[identity] = winner
        winner.has_absorbed = True
        self.people.remove(loser)
        self.parts[id(loser)] = winner

    # ------------------------------------------------------------ to compare

    def shown(self) -> list[tuple[Any, ...]]:
        """Everybody: what is known of them, what leads to them, and the messages about them."""
        leads: dict[int, list[Identity]] = {}
        for identity, owner in self.owners.items():
            leads.setdefault(id(owner), []).append(identity)
        messages: dict[int, list[str]] = {}
        for message, person in self.told.items():
            while id(person) in self.parts:
                person = self.parts[id(person)]
            messages.setdefault(id(person), []).append(message)
        return sorted(
            (sorted(messages.get(id(each), [])), sorted(leads.get(id(each), [])), each.known) for each in self.people
        )
