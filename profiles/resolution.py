"""Which person each event of a batch is about, and what it says of them: in memory, in order of arrival.

The outcome is the same as taking the events one at a time: what an event claims or releases counts for those after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from profiles.identity import Identity, Owners, identity_of
from profiles.person import Person
from profiles.properties import Fact

NO_IDENTITY = "It holds no value of a unique property, so it belongs to nobody."
NOT_CREATED = "Nobody has these identities, and this schedule may not create profiles."


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event as resolution sees it. `new_guid` is the id its person gets if it is the first to name them."""

    cause: str
    as_of_us: int
    facts: Sequence[Fact]
    new_guid: UUID
    may_create: bool = True


@dataclass(slots=True)
class Resolution:
    """Who each event belongs to (aligned with the arrivals; None: nobody), and what to say about it."""

    people_of: list[Person | None] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    conflicts: int = 0


def resolve(arrivals: Sequence[Arrival], owners: Owners, *, now_us: int) -> Resolution:
    """Find or make everyone, and let them take what the events say. Changes `owners` and the people in it."""
    resolution = Resolution()
    for arrival in arrivals:
        person, note = _person_of(arrival, owners, resolution, now_us=now_us)
        resolution.people_of.append(person)
        if person is not None:
            _take(arrival, person, owners, now_us=now_us)
        resolution.notes.append(note)
    return resolution


def _person_of(arrival: Arrival, owners: Owners, resolution: Resolution, *, now_us: int) -> tuple[Person | None, str]:
    identities = sorted(
        (fact for fact in arrival.facts if fact.identity is not None),
        key=lambda fact: (fact.rule.identity_rank or 0, fact.rule.id),
    )
    if not identities:
        return None, _why_nobody(arrival)
    found: list[tuple[Fact, Person]] = []
    for fact in identities:
        person = owners.now.get(_identity(fact))
        if person is not None and all(person is not other for _, other in found):
            found.append((fact, person))
    if len(found) > 1:
        resolution.conflicts += 1
        (first, winner), *others = found
        losers = ", ".join(f"{fact.rule.key} belongs to {person.guid}" for fact, person in others)
        return winner, f"identity conflict: {first.rule.key} belongs to {winner.guid}, but {losers}"
    if found:
        return found[0][1], ""
    if not arrival.may_create:
        return None, NOT_CREATED
    person = Person(guid=arrival.new_guid, values={}, meta={}, created_us=now_us, hydrated_us=None)
    owners.people[person.guid] = person
    return person, ""


def _take(arrival: Arrival, person: Person, owners: Owners, *, now_us: int) -> None:
    person.cause = arrival.cause
    for fact in arrival.facts:
        if fact.identity is not None:
            owner = owners.now.get(fact.identity)
            if owner is not None and owner is not person:
                continue  # a losing identity is not moved, and the value we hold stays
        take_value(fact, person, owners, as_of=arrival.as_of_us, cause=arrival.cause, now_us=now_us)


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


def _why_nobody(arrival: Arrival) -> str:
    rejected = [
        f"{fact.rule.key}: {fact.rejected[1]}" for fact in arrival.facts if fact.rule.is_unique and fact.rejected
    ]
    return f"{NO_IDENTITY} ({'; '.join(rejected)})" if rejected else NO_IDENTITY


def _identity(fact: Fact) -> Identity:
    assert fact.identity is not None  # noqa: S101  the caller selected facts that have one
    return fact.identity
