"""Random worlds for the oracle of groups: people, what they did, groups of every kind of rule, and what happens next.

A world is made from a seed alone and plays inside one transaction, so a case that fails can be played again.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection

from core.lib import uuid7
from groups.moving_time import UNITS
from groups.operators import Argument, Operator, for_field, for_property
from groups.reading import FIELDS, PAYLOAD_TYPES
from tests.factories import keep_dates
from tests.groups.oracle import Being, matches
from tests.groups.strategies import DAYS, FLOATS, INTEGERS, MOMENTS, PROPERTIES, TEXTS, stored_date

ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu")
BEGINNINGS = (
    "2024-03-30T12:30", "2024-02-28T22:00", "2024-03-10T05:00", "2023-12-31T23:59", "2024-11-03T05:30",
    "2024-10-27T00:30", "2024-04-06T15:10",
)  # month's ends, a leap day, changes of clocks  # fmt: skip
STEPS = (timedelta(minutes=1), timedelta(minutes=30), timedelta(hours=7), timedelta(days=1), timedelta(days=29))
EVENTS = ("Purchase", "purchase", "Cart added")
TOTALS = (0, 1, 2.5, 10, "10", "2.5", "many", "", None, True, "TRUE", [1], {"a": 1}, "1e1", "-1", 9007199254740993)
AMOUNTS = (1, 2, 3, 7, 30)
SPREAD = (-366, -92, -31, -30, -29, -28, -14, -7, -3, -2, -1, 0, 1, 7, 30)


@dataclass
class World:
    """People and groups that are known here as they should be in the database. `now` is the clock of both."""

    rng: random.Random
    zone: ZoneInfo
    now: datetime
    keys: tuple[str, ...]
    people: dict[UUID, Being] = field(default_factory=dict)
    trees: dict[int, dict[str, Any]] = field(default_factory=dict)  # calculated groups by id, in dependency order
    manual: dict[int, set[UUID]] = field(default_factory=dict)

    @property
    def types(self) -> dict[str, str]:
        """Types by property key."""
        return {key: name for key, (name, _) in PROPERTIES.items()}

    def expected(self) -> dict[int, set[UUID]]:
        """Who should be in which group now, by plain Python."""
        found = {group: set(members) for group, members in self.manual.items()}
        for group_id, tree in self.trees.items():
            found[group_id] = {
                guid for guid, being in self.people.items() if self.holds(tree, guid, being, found, now=self.now)
            }
        return found

    def holds(
        self, tree: Mapping[str, Any], guid: UUID, being: Being, members: Mapping[int, set[UUID]], *, now: datetime
    ) -> bool:
        """Whether a tree holds for someone at a moment, given who is in which group."""
        inside = frozenset(group for group, them in members.items() if guid in them)
        whole = Being(being.properties, str(guid), being.created_at, being.updated_at, being.events, inside)
        return matches(tree, whole, self.types, now=now, zone=self.zone)


def begin(seed: int) -> World:
    """A world without anyone in it."""
    rng = random.Random(seed)
    at = datetime.fromisoformat(rng.choice(BEGINNINGS)).replace(tzinfo=UTC)
    return World(rng, ZoneInfo(rng.choice(ZONES)), at, tuple(rng.sample(sorted(PROPERTIES), 6)))


# ---------------------------------------------------------------- people


def add_people(world: World, count: int) -> list[UUID]:
    """New people with their events, in the database and here."""
    added = []
    for guid in uuid7.make_many(world.now, count):
        born = _near(world)
        world.people[guid] = Being(_properties(world), created_at=born, updated_at=min(world.now, _near(world)))
        added.append(guid)
        with connection.cursor() as cursor:
            cursor.execute(
                "insert into profile (guid, properties, property_meta, created_at, updated_at)"
                " values (%s, %s::jsonb, '{}', %s, %s)",
                [guid, json.dumps(world.people[guid].properties), born, world.people[guid].updated_at],
            )
    keep_dates(added)
    return added


def change(world: World, guid: UUID) -> None:
    """Someone gets other values."""
    before = world.people[guid]
    world.people[guid] = Being(
        _properties(world), created_at=before.created_at, updated_at=world.now, events=before.events
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "update profile set properties = %s::jsonb, updated_at = %s where guid = %s",
            [json.dumps(world.people[guid].properties), world.now, guid],
        )
    keep_dates([guid])


def happen(world: World, guid: UUID, count: int) -> list[tuple[str, UUID]]:
    """Someone does something, lately, long ago or, by their clock, ahead; (type, profile) of each."""
    before = world.people[guid]
    events = [(world.rng.choice(EVENTS), _near(world), _payload(world)) for _ in range(count)]
    world.people[guid] = Being(
        before.properties, created_at=before.created_at, updated_at=before.updated_at, events=[*before.events, *events]
    )
    with connection.cursor() as cursor:
        for event_id, (type_name, at, payload) in zip(uuid7.make_many(world.now, count), events, strict=True):
            cursor.execute(
                "insert into event (id, message_id, type, occurred_at, received_at, source_kind, source_id, payload,"
                " state, profile_id) values (%s, %s, %s, %s, %s, 'person', 1, %s::json, 'processed', %s)",
                [event_id, str(event_id), type_name, at, world.now, json.dumps(payload), guid],
            )
    return [(type_name, guid) for type_name, _, _ in events]


def _near(world: World) -> datetime:
    step = timedelta(days=world.rng.choice(SPREAD), microseconds=world.rng.choice((-1, 0, 1)))
    return world.now + step + timedelta(minutes=world.rng.choice((0, 0, 0, -1, 30)))


def _payload(world: World) -> dict[str, Any]:
    payload = {"total": world.rng.choice(TOTALS), "sku": world.rng.choice(("a", "A", "ab", 7))}
    return {key: value for key, value in payload.items() if world.rng.random() < 0.8}


def _properties(world: World) -> dict[str, Any]:
    values = {}
    for key in world.keys:
        type_name, is_array = PROPERTIES[key]
        if world.rng.random() < 0.25:
            continue
        count = world.rng.choice((0, 1, 2, 3))
        values[key] = [_value(world, type_name) for _ in range(count)] if is_array else _value(world, type_name)
    return values


def _value(world: World, type_name: str) -> Any:
    if type_name == "date":
        if world.rng.random() < 0.3:
            return stored_date(datetime.fromisoformat(world.rng.choice(DAYS)).replace(tzinfo=UTC))
        return stored_date(_near(world))
    if type_name == "boolean":
        return world.rng.random() < 0.5
    return world.rng.choice(TEXTS.get(type_name) or (INTEGERS if type_name == "integer" else FLOATS))


# ---------------------------------------------------------------- trees


def tree(world: World, *, reads: Sequence[int] = (), depth: int = 3) -> dict[str, Any]:
    """A random tree; `reads` are the groups that it may ask about."""
    count = world.rng.choice((1, 1, 2, 2, 3))
    rules = [
        tree(world, reads=reads, depth=depth - 1) if depth > 1 and world.rng.random() < 0.3 else leaf(world, reads)
        for _ in range(count)
    ]
    return {"match": world.rng.choice(("all", "any", "none")), "rules": rules}


def leaf(world: World, reads: Sequence[int] = ()) -> dict[str, Any]:
    """A random leaf of any kind."""
    kind = world.rng.choice(("property", "property", "profile", "event", "event", "group" if reads else "property"))
    if kind == "group":
        return {"group": world.rng.choice(list(reads)), "operator": world.rng.choice(("in", "not_in"))}
    if kind == "event":
        return _event_leaf(world)
    if kind == "profile":
        key = world.rng.choice(sorted(FIELDS))
        operator = world.rng.choice(list(for_field(FIELDS[key][1])))
        given = {"profile": key, **_asked(world, operator, FIELDS[key][1])}
        guids = [str(guid) for guid in world.people] or [str(UUID(int=1))]
        if key == "guid":
            given["value"] = world.rng.choice(guids) if operator.argument is Argument.VALUE else guids[:2]
        return {name: value for name, value in given.items() if name not in ("include_null", "case_sensitive")}
    key = world.rng.choice(world.keys)
    type_name, is_array = PROPERTIES[key]
    operator = world.rng.choice(list(for_property(type_name, is_array=is_array)))
    given = {"property": key, **_asked(world, operator, type_name)}
    if is_array and operator.asks_items and world.rng.random() < 0.5:
        given["items"] = "all"
    return given


def _event_leaf(world: World) -> dict[str, Any]:
    operator = world.rng.choice(("did", "did_not", "at_least", "at_most", "exactly"))
    given: dict[str, Any] = {"event": world.rng.choice(EVENTS), "operator": operator}
    if operator in ("at_least", "at_most", "exactly"):
        given["value"] = world.rng.choice((1, 2, 3) if operator == "at_least" else (0, 1, 2, 3))
    if world.rng.random() < 0.6:
        given["within"] = {"amount": world.rng.choice(AMOUNTS), "unit": world.rng.choice(("hours", "days", "weeks"))}
    if world.rng.random() < 0.5:
        given["where"] = [_condition(world) for _ in range(world.rng.choice((1, 1, 2)))]
    return given


def _condition(world: World) -> dict[str, Any]:
    kind = world.rng.choice(sorted(PAYLOAD_TYPES))
    operator = world.rng.choice(list(for_property(PAYLOAD_TYPES[kind], is_array=False)))
    given = {"key": world.rng.choice(("total", "sku")), "type": kind, **_asked(world, operator, PAYLOAD_TYPES[kind])}
    numbers = sorted(world.rng.choices((0, 1, 2.5, 10), k=2))
    if kind == "number" and operator.argument is Argument.RANGE:
        given["value"] = numbers
    elif kind == "number" and operator.argument is Argument.VALUE:
        given["value"] = numbers[0]
    elif kind == "text" and operator.argument in (Argument.VALUE, Argument.TEXT):
        given["value"] = world.rng.choice(("a", "A", "ab", "10", "many", "[1]"))
    return given


def _asked(world: World, operator: Operator, type_name: str) -> dict[str, Any]:
    given: dict[str, Any] = {"operator": operator.key}
    if operator.argument is not Argument.NONE:
        given["value"] = _argument(world, operator, type_name)
    if operator.is_negative and world.rng.random() < 0.4:
        given["include_null"] = False
    if operator.folds_case and world.rng.random() < 0.4:
        given["case_sensitive"] = True
    return given


def _argument(world: World, operator: Operator, type_name: str) -> Any:
    def one() -> Any:
        return world.rng.choice(DAYS + MOMENTS) if type_name == "date" else _value(world, type_name)

    match operator.argument:
        case Argument.TEXT:
            text, at = world.rng.choice(TEXTS[type_name]), world.rng.choice((0, 0, 1))
            return text[at : at + world.rng.choice((1, 3, 40))] or text
        case Argument.VALUES:
            return [one() for _ in range(world.rng.choice((1, 2, 3)))]
        case Argument.RANGE:
            return sorted(world.rng.choice(DAYS) if type_name == "date" else one() for _ in range(2))
        case Argument.SPAN:
            return {"amount": world.rng.choice((*AMOUNTS, 100_000)), "unit": world.rng.choice(UNITS)}
    return one()
