"""A program that takes profiles as docs/webhooks.md tells it to: what it holds after what a receiver was sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.receiver import Delivery


@dataclass(frozen=True)
class Person:
    """What is held under one key."""

    profile: Mapping[str, Any]
    groups: frozenset[str]


def hold(deliveries: Iterable[Delivery]) -> dict[Any, Person]:
    """By key: what is held after these requests, each message of which counts once."""
    people: dict[Any, Person] = {}
    seen: set[str] = set()
    for message in messages(deliveries):
        if message["id"] not in seen:
            seen.add(message["id"])
            _take(people, message)
    return people


def messages(deliveries: Iterable[Delivery]) -> Iterator[Mapping[str, Any]]:
    """Every message that was signed well and answered with 2xx, also those that came again."""
    for delivery in deliveries:
        if delivery.method != "HEAD" and delivery.signed and 200 <= delivery.answer < 300:
            yield from delivery.json.get("profiles", [delivery.json])


def _take(people: dict[Any, Person], message: Mapping[str, Any]) -> None:
    key, old_key = message["key"], message["old_key"]
    if message["action"] == "remove":
        people.pop(key, None)
    elif message["action"] == "upsert" or key in people or old_key in people:
        people.pop(old_key, None)
        people[key] = Person(message["profile"], frozenset(message["groups"]))
