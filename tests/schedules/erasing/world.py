"""Alice is everywhere in the product, and is to be erased; Bob stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from core.accounts.actors import SYSTEM
from events.inbox import Fate, accept
from groups.groups_store import add_members
from pipeline.inbox import process_some
from profiles.models import ProfileIdentity
from schedules import exporting
from schedules.erasing import erasures, steps
from schedules.erasing.models import Erasure
from schedules.models import Schedule
from schedules.outbound import delivering
from tests.schedules import destinations
from tests.schedules.destinations import Memory, Shelf
from tests.waiting import wait_until

ALICE, BOB = "alice.liddell@example.com", "bob@example.com"
DEVICE = "device-of-alice-0001"
# What is known of Alice and of nobody else: none of it may be found anywhere once she was erased.
TRACES = (ALICE, "Liddell-Wonder", DEVICE)


@dataclass
class World:
    """A project with a destination in memory. `alice` and `bob` are profiles."""

    base: destinations.World
    alice: UUID
    bob: UUID

    def export(self, table: str = "people", **more: Any) -> Schedule:
        """An export that has sent Alice and Bob."""
        schedule = self.base.export(table, **more)
        destinations.export(schedule)
        return schedule

    def erase(self) -> Erasure:
        """Ask for Alice to be erased."""
        return erasures.erase(self.alice, actor=SYSTEM)


def make_world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Alice and Bob came in events; both are VIPs."""
    base = destinations.make_world(monkeypatch)
    send({"email": ALICE, "first_name": "Liddell-Wonder", "_anonymous_id": DEVICE}, {"email": BOB, "first_name": "Bob"})
    alice, bob = person(ALICE), person(BOB)
    add_members(base.groups["vip"].pk, [alice, bob], actor=SYSTEM)
    return World(base, alice, bob)


def person(email: str) -> UUID:
    """The profile of this address."""
    return ProfileIdentity.objects.get(rule__key="email", value=email).profile_id


def send(*payloads: Mapping[str, Any]) -> list[Fate]:
    """Events by the API, processed."""
    fates = accept(list(payloads), source_kind="api_key", source_id=1)
    process_some()
    return fates


def shelf(schedule: Schedule) -> Shelf:
    """What the destination of an export holds."""
    return Memory.shelves[schedule.options["table"]]


def work() -> None:
    """Let workers do what there is to do just now: on events, exports, outbound events and erasures."""
    process_some()
    delivering.find_due()
    while steps.work_slice() or exporting.work_slice() or delivering.work_slice():
        pass


def finish(erasure: Erasure, *, within: float = 20.0) -> Erasure:
    """Let workers work until the erasure is over."""

    def is_over() -> bool:
        destinations.make_due()
        work()
        erasure.refresh_from_db()
        return erasure.finished_at is not None

    wait_until(is_over, what="the erasure is over", within=within)
    return erasure
