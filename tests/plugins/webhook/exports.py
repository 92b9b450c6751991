"""Exports of the tests: people, their changes, and what an App does with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plugins.contracts import Outcome, ProfileExport, SyncMode, Target
from tests.plugins.webhook.connections import connect
from tests.receiver import Receiver

FIELDS = {"email": "email", "name": "string", "age": "integer", "vip": "boolean"}
ALICE = {"email": "alice@example.com", "name": "Alice", "age": 31, "vip": True}
BOB = {"email": "bob@example.com", "name": "Bob", "age": None, "vip": False}


def target(mode: SyncMode = SyncMode.SYNC, *, is_backfill: bool = False, **options: Any) -> Target:
    return Target({"key_field": "email", **options}, "email", FIELDS, mode, ("gold", "silver"), is_backfill=is_backfill)


def change(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, **more: Any) -> ProfileExport:
    return ProfileExport(profile=f"profile of {(new or old or {})['email']}", old=old, new=new, **more)


def person(number: int) -> ProfileExport:
    return change(None, {**ALICE, "email": f"p{number}@example.com", "age": number})


def export(receiver: Receiver, *items: ProfileExport, to: Target | None = None, **options: Any) -> list[Outcome]:
    with connect(receiver.url, **options) as app:
        return list(app.export(to or target(), items))


def kinds(outcomes: Sequence[Outcome]) -> str:
    return "".join(outcome.kind[2] for outcome in outcomes)  # c, t, j, l
