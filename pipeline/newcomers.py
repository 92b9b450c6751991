"""People whom nobody knows yet: made from the rows of an import, column by column.

A first load is nearly all of this kind: events of one shape whose values fit, each about somebody whom nobody owns an
identity of and no other event of the batch names. There is nothing to judge about them, nor any order to keep, so
they need none of the objects that `pipeline/items.py` and `profiles/resolution.py` make of an event: for 1,000 rows
about 10 ms of the worker's time instead of 18. All other events of the batch go the long way, and both ways give the
same: `tests/pipeline/test_newcomers.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any
from uuid import UUID

from core.accounts import project
from core.lib.clock import to_us
from events import store
from events.models import EventState
from pipeline.items import Accepted, own_time_us
from profiles import suppression
from profiles.identity import Identity, Owners
from profiles.naming import DEVICE, PREVIOUS
from profiles.person import Person
from profiles.properties import savable
from profiles.ruleset import Rule, RuleSet
from profiles.type_columns import compare_column, type_column

_FEWEST = 16  # events; below, there is nothing to gain


@dataclass(slots=True)
class Newcomers:
    """The events at these `places`, each of which makes a person. `rules` are those that the events say something of.

    `named` are the identities of every event of the batch, a tuple for each; `rows` the typed values of those chosen,
    in the order of `rules`.
    """

    accepted: Accepted
    now_us: int
    rules: Mapping[str, Rule]
    unique: Mapping[str, Sequence[Any]]  # the typed values of unique rules, of every event
    named: Sequence[tuple[Identity, ...]]
    places: Sequence[int]
    rows: Sequence[tuple[Any, ...]] = ()

    @property
    def identities(self) -> set[Identity]:
        """Everyone whom the events of the batch name."""
        return set(chain.from_iterable(self.named))

    def choose(self, owners: Owners, ruleset: RuleSet) -> list[int]:
        """Keep those whose values fit, and whom nobody has an identity of and nobody erased: the places of all others.

        Where hardly anybody is new, as after the first load, no more is typed here.
        """
        known = owners.held.keys() | suppression.find(self.identities, ruleset)
        if known:
            self.places = [place for place in self.places if known.isdisjoint(self.named[place])]
        if len(self.places) < _FEWEST:
            self.places = []
        self._type()
        chosen = set(self.places)
        return [place for place in range(len(self.accepted.events)) if place not in chosen]

    def _type(self) -> None:
        payloads = [self.accepted.events[place].payload for place in self.places]
        columns: list[Sequence[Any]] = []
        misfits: set[int] = set()
        for key, rule in self.rules.items():
            if key in self.unique:
                typed: Sequence[Any] = [self.unique[key][place] for place in self.places]
            else:
                typed, wrong = type_column(rule, [payload[key] for payload in payloads])
                misfits.update(wrong)
            columns.append(typed)
        rows = list(zip(*columns, strict=True))
        self.rows = [row for at, row in enumerate(rows) if at not in misfits] if misfits else rows
        self.places = [place for at, place in enumerate(self.places) if at not in misfits]

    def join(self, owners: Owners) -> list[tuple[int, Person]]:
        """Make these people, who own from now on what they are named by, each with the index of their event."""
        keys, accepted = tuple(self.rules), self.accepted
        people: list[tuple[int, Person]] = []
        for place, row in zip(self.places, self.rows, strict=True):
            event = accepted.events[place]
            cause, as_of = f"event:{accepted.ids[place]}", own_time_us(event)
            values = dict(zip(keys, row, strict=True))
            if None in row:
                values = {key: value for key, value in values.items() if value is not None}
            person = Person(
                guid=accepted.guids[place],
                values=values,
                meta={key: [as_of, cause] for key in keys},
                created_us=self.now_us,
                hydrated_us=None,
                cause=cause,
                is_touched=True,
            )
            people.append((accepted.indexes[place], person))
            owners.people[person.guid] = person
            for identity in self.named[place]:
                owners.now[identity] = person
        return people

    def carried(self) -> tuple[dict[UUID, Mapping[str, Any]], int | None]:
        """The answers that came along with their rows, and the oldest time at which any of them was read."""
        events, guids = self.accepted.events, self.accepted.guids
        found = {guids[place]: carried for place in self.places if (carried := events[place].carried)}
        times = {events[place].read_at for place in self.places} if found else set()
        return found, min((to_us(at) for at in times if at is not None), default=None)

    def processed(self, failed: Mapping[UUID, Mapping[str, str]]) -> list[store.ProcessedEvent]:
        """Their events as they are stored; `failed` says what could not be asked for, by person."""
        accepted = self.accepted
        return [
            store.ProcessedEvent(
                id=accepted.ids[place],
                event=accepted.events[place],
                payload_text=accepted.texts[place],
                state=EventState.PROCESSED.value,
                profile_id=(guid := accepted.guids[place]),
                error=describe_failures(failed[guid]) if guid in failed else "",
                key=accepted.keys[place],
            )
            for place in self.places
        ]


def describe_failures(failed: Mapping[str, str]) -> str:
    """What an event says of properties that its person's Apps did not answer for."""
    return "; ".join(f"{key} could not be refreshed: {reason}" for key, reason in failed.items())[:2000]


def find(accepted: Accepted, ruleset: RuleSet, *, now_us: int) -> Newcomers | None:
    """Those who may be newcomers by what the batch itself says; None when its events are not all of one shape."""
    events = accepted.events
    if len(events) < _FEWEST or not _are_alike(accepted):
        return None
    first = events[0]
    rules = savable(ruleset, saves=first.saves, answered=tuple(first.carried or ()))
    said = {key: rules[key] for key in first.payload if key in rules}
    misfits: set[int] = set()
    unique: dict[str, Sequence[Any]] = {}
    for key, rule in said.items():
        if rule.is_unique:
            unique[key], wrong = type_column(rule, [event.payload[key] for event in events])
            misfits.update(wrong)
    if not unique:
        return None
    named = _name({key: said[key] for key in unique}, unique, blocked=project.current().blocked_values)
    counts = Counter(chain.from_iterable(named))
    repeated = {identity for identity, count in counts.items() if count > 1} if counts.total() > len(counts) else set()
    places = [
        place
        for place, own in enumerate(named)
        if own and place not in misfits and (not repeated or repeated.isdisjoint(own))
    ]
    return Newcomers(accepted, now_us, said, unique, named, places)


def _are_alike(accepted: Accepted) -> bool:
    """Whether all events have the same keys, may save the same and carry the same answers; and name nobody else."""
    first = accepted.events[0]
    keys, carried = first.payload.keys(), (first.carried or {}).keys()
    if DEVICE in keys or PREVIOUS in keys:
        return False
    return all(
        event.may_create
        and event.saves == first.saves
        and event.payload.keys() == keys
        and (event.carried or {}).keys() == carried
        for event in accepted.events
    )


def _name(
    unique: Mapping[str, Rule], columns: Mapping[str, Sequence[Any]], *, blocked: Collection[str]
) -> list[tuple[Identity, ...]]:
    """The identities of each event; a value that is blocked is none, as no value is."""
    by_rule = []
    for key, rule in unique.items():
        texts = compare_column(rule.type, columns[key])
        lower = [str(value).lower() for value in columns[key]]
        by_rule.append(
            [
                (rule.id, text) if text is not None and each not in blocked else None
                for text, each in zip(texts, lower, strict=True)
            ]
        )
    if len(by_rule) == 1:
        return [(identity,) if identity else () for identity in by_rule[0]]
    return [row if None not in row else tuple(filter(None, row)) for row in zip(*by_rule, strict=True)]
