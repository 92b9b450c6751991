"""What the pipeline's tests are made of: rules, events, and a claim that is always held."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from core.accounts.actors import SYSTEM
from events.envelope import InboundEvent
from pipeline.items import BatchResult
from pipeline.process import process
from profiles.models import Profile, ProfilePropertyRule
from profiles.rules import NewRule, create_rule

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
_numbers = itertools.count(1)


@dataclass
class Held:
    """A claim that nobody else wants."""

    def hold(self, _: BatchResult) -> None:
        """Nothing can be lost here."""


def rule(key: str, value_type: str = "string", **more: Any) -> ProfilePropertyRule:
    """A property rule made the way a person makes one."""
    return create_rule(NewRule(key=key, type=value_type, **more), actor=SYSTEM)


def shop_rules() -> None:
    """user_id and email identify; first_name and age come in events."""
    rule("user_id", "integer", is_unique=True, identity_rank=1)
    rule("email", "email", is_unique=True, identity_rank=2)
    rule("first_name")
    rule("age", "integer")


def event(payload: dict[str, Any], *, at: datetime | int = 0, **more: Any) -> InboundEvent:
    """An event; `at` may be minutes after noon. Its message id is new unless given."""
    occurred = NOON + timedelta(minutes=at) if isinstance(at, int) else at
    fields: dict[str, Any] = {
        "message_id": f"message-{next(_numbers)}",
        "type": "",
        "occurred_at": occurred,
        "received_at": NOON + timedelta(hours=5),
        "source_kind": "run",
        "source_id": 1,
        "payload": payload,
    }
    return InboundEvent(**{**fields, **more})


def take(*events: InboundEvent) -> BatchResult:
    """Process these events as one batch."""
    return process(list(events), claim=Held())


def everyone() -> list[dict[str, Any]]:
    """The values of all profiles, in a fixed order."""
    found = Profile.objects.values_list("properties", flat=True)
    return sorted(found, key=lambda values: str(sorted(values.items(), reverse=True)))


def forget_everything() -> None:
    """Nobody is known and nothing has happened; rules and groups stay."""
    with connection.cursor() as cursor:
        cursor.execute(
            "truncate profile_identity, profile, profile_change, profile_date, group_member, group_membership_change,"
            " profile_merge, event, event_key"
        )
