"""Which person each event of a batch is about, and what it says of them: in memory, in order of arrival.

The outcome is the same as taking the events one at a time: what an event claims or releases counts for those after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from profiles.identity import Identity, Owners, identity_of
from profiles.merges import Merge, absorb, is_anonymous
from profiles.person import Person
from profiles.properties import Fact
from profiles.ruleset import RuleSet

NO_IDENTITY = "It holds no value of a unique property, so it belongs to nobody."
NOT_CREATED = "Nobody has these identities, and this schedule may not create profiles."
CONFLICT = "identity conflict: "


@dataclass(slots=True)  # not frozen: that makes them at half the speed
class Arrival:
    """One event as resolution sees it. `new_guid` is the id its person gets if it is the first to name them.

    `device` is its anonymous id. `absorbs` are identities of someone who, it says, is the same person.
    """

    cause: str
    as_of_us: int
    facts: Sequence[Fact]
    new_guid: UUID
    may_create: bool = True
    device: Identity | None = None
    absorbs: Sequence[Identity] = ()

    @property
    def identities(self) -> list[Identity]:
        """Every identity it names."""
        own = [fact.identity for fact in self.facts if fact.identity is not None]
        return [*own, *([self.device] if self.device else []), *self.absorbs]


@dataclass(slots=True)
class Resolution:
    """Who each event belongs to (aligned with the arrivals; None: nobody), and what to say about it."""

    people_of: list[Person | None] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    merges: list[Merge] = field(default_factory=list)
    conflicts: int = 0


@dataclass(frozen=True, slots=True)
class Resolver:
    """Finds or makes the people of one batch. Changes `owners` and the people in it."""

    owners: Owners
    rules: RuleSet
    now_us: int
    most_devices: int
    resolution: Resolution = field(default_factory=Resolution)

    def resolve(self, arrivals: Sequence[Arrival]) -> Resolution:
        """Find or make everyone, and let them take what the events say."""
        for arrival in arrivals:
            person, note = self._person_of(arrival)
            notes = [note]
            if person is not None:
                notes += [self._take(arrival, person), self._join(arrival, person)]
            self.resolution.people_of.append(person)
            self.resolution.notes.append("; ".join(filter(None, notes)))
        return self.resolution

    def merge(self, winner: Person, loser: Person, *, cause: str) -> None:
        """Let the loser become part of the winner."""
        made = absorb(winner, loser, self.owners, self.rules, cause=cause, now_us=self.now_us)
        self.resolution.merges.append(made)

    def _person_of(self, arrival: Arrival) -> tuple[Person | None, str]:
        facts = sorted(
            (fact for fact in arrival.facts if fact.identity is not None),
            key=lambda fact: (fact.rule.identity_rank or 0, fact.rule.id),
        )
        if not facts and arrival.device is None:
            return None, _why_nobody(arrival)
        found: list[tuple[Fact, Person]] = []
        for fact in facts:
            person = self.owners.owner_of(_identity(fact))
            if person is not None and all(person is not other for _, other in found):
                found.append((fact, person))
        behind = self._behind_device(arrival)
        if not found and behind is not None and not _contradicts(facts, behind):
            return behind, ""
        if found:
            return self._winner(arrival, found, behind)
        if not arrival.may_create:
            return None, NOT_CREATED
        person = Person(guid=arrival.new_guid, values={}, meta={}, created_us=self.now_us, hydrated_us=None)
        self.owners.people[person.guid] = person
        return person, ""

    def _behind_device(self, arrival: Arrival) -> Person | None:
        return None if arrival.device is None else self.owners.owner_of(arrival.device)

    def _winner(
        self, arrival: Arrival, found: Sequence[tuple[Fact, Person]], behind: Person | None
    ) -> tuple[Person, str]:
        (first, winner), *others = found
        if behind is not None and behind is not winner and is_anonymous(behind, self.rules):
            self.merge(winner, behind, cause=arrival.cause)
        if not others:
            return winner, ""
        self.resolution.conflicts += 1
        losers = ", ".join(f"{fact.rule.key} belongs to {person.guid}" for fact, person in others)
        return winner, f"{CONFLICT}{first.rule.key} belongs to {winner.guid}, but {losers}"

    def _take(self, arrival: Arrival, person: Person) -> str:
        """What the event says of them; of the identities, those that nobody else owns."""
        owners = self.owners
        person.cause = arrival.cause
        for fact in arrival.facts:
            if fact.identity is not None:
                owner = owners.owner_of(fact.identity)
                if owner is not None and owner is not person:
                    continue  # a losing identity is not moved, and the value we hold stays
            take_value(fact, person, owners, as_of=arrival.as_of_us, cause=arrival.cause, now_us=self.now_us)
        device = arrival.device
        if device is None or owners.owner_of(device) is not None:
            return ""
        return self._take_device(device, person)

    def _take_device(self, device: Identity, person: Person) -> str:
        held = self.owners.devices.get(person.guid, 0)
        if held >= self.most_devices:
            return f"{device[1]} is not kept: this person has {held} anonymous ids already, and more say nothing"
        self.owners.devices[person.guid] = held + 1
        self.owners.assign(device, person)
        return ""

    def _join(self, arrival: Arrival, person: Person) -> str:
        """Whoever the event says is the same person becomes part of them; an id that nobody has is theirs too."""
        for other in arrival.absorbs:
            loser = self.owners.owner_of(other)
            if loser is not None and loser is not person:
                self.merge(person, loser, cause=arrival.cause)
        if arrival.absorbs and all(self.owners.owner_of(other) is None for other in arrival.absorbs):
            return self._take_device(arrival.absorbs[0], person)
        return ""


def take_value(fact: Fact, person: Person, owners: Owners, *, as_of: int, cause: str | None, now_us: int) -> bool:
    """Let a person take one fact; ownership of unique values follows the value."""
    rule = fact.rule
    held = person.values.get(rule.key) if rule.is_unique else None
    taken = person.take(rule, fact.value, as_of=as_of, cause=cause, now_us=now_us, rejected=fact.rejected)
    if taken and rule.is_unique and fact.value != held:
        if held is not None:
            owners.release(identity_of(rule, held), person)
        if fact.identity is not None:
            owners.assign(fact.identity, person)
    return taken


def _contradicts(facts: Sequence[Fact], person: Person) -> bool:
    """Whether someone known uses the device of someone else who is known: then they are two people."""
    return any(fact.rule.key in person.values and person.values[fact.rule.key] != fact.value for fact in facts)


def _why_nobody(arrival: Arrival) -> str:
    rejected = [
        f"{fact.rule.key}: {fact.rejected[1]}" for fact in arrival.facts if fact.rule.is_unique and fact.rejected
    ]
    return f"{NO_IDENTITY} ({'; '.join(rejected)})" if rejected else NO_IDENTITY


def _identity(fact: Fact) -> Identity:
    assert fact.identity is not None  # noqa: S101  the caller selected facts that have one
    return fact.identity
