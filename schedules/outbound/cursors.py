"""How far each subscription has read the processed events, and whether it rests. The only writer of `OutboundCursor`.

Events are read by the number of their transaction, as `schedules/cursor.py` explains. What a subscription read is moved
on in the transaction that stores what is owed because of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F
from django.db.models.functions import Now

from core.work import database
from schedules import cursor
from schedules.outbound.models import OutboundCursor


@dataclass(frozen=True, slots=True)
class Place:
    """Where a subscription stands. `mark` None: the numbers are another server's; read on from the time `read_at`."""

    mark: int | None
    read_at: datetime
    is_resting: bool
    waits: int


def start(subscription_id: int) -> None:
    """A new subscription reads what is processed from now on."""
    OutboundCursor.objects.create(
        subscription_id=subscription_id,
        mark=cursor.read_horizon(),
        cluster=database.identify(),
        read_at=Now(),
    )


def find(subscription_id: int) -> Place:
    """Where it stands."""
    row = OutboundCursor.objects.annotate(now=Now()).get(pk=subscription_id)
    return Place(
        mark=row.mark if row.cluster == database.identify() else None,
        read_at=row.read_at,
        is_resting=row.rests_until is not None and row.rests_until > row.now,
        waits=row.waits,
    )


def move(subscription_id: int, *, mark: int) -> None:
    """Store how far it has read."""
    OutboundCursor.objects.filter(pk=subscription_id).update(mark=mark, cluster=database.identify(), read_at=Now())


def rest(subscription_id: int, *, seconds: float, counts: bool) -> None:
    """Send nothing for a while. `counts`: the destination did not say for how long, so the next rest is longer."""
    OutboundCursor.objects.filter(pk=subscription_id).update(
        rests_until=Now() + timedelta(seconds=seconds), waits=F("waits") + int(counts)
    )


def wake_up(subscription_id: int) -> None:
    """The destination answers again, or a person wants to know at once."""
    OutboundCursor.objects.filter(pk=subscription_id).exclude(waits=0, rests_until=None).update(
        rests_until=None, waits=0
    )
