"""How many events of each type came in each hour: hours that are over are counted once and kept, so that a chart of a
month costs the same however many events there are. The only writer of `EventTally`.

An event is stored under the id it was accepted with, at times long afterwards. So an hour is over only when nothing of
it can still be in the inbox.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from core.lib import uuid7
from events.models import Inbox

HOUR = timedelta(hours=1)
KEPT = timedelta(days=32)  # a chart shows 30 days of any time zone
_SETTLING = HOUR  # far longer than any batch is under way
_COUNTED = (
    "select h.hour, e.type, count(*) from unnest(%s::timestamptz[], %s::uuid[], %s::uuid[]) h(hour, low, high)"
    " join event e on e.id >= h.low and e.id < h.high"
    " where h.hour > (select coalesce(max(hour), '-infinity') from event_tally) group by 1, 2"
)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many events of a type came in an hour."""

    hour: datetime
    type: str
    events: int


def add_up(now: datetime) -> int:
    """Count the hours that are over and were not counted yet; how many rows that made."""
    waiting = Inbox.objects.filter(is_replay=False).order_by("id").values_list("pk", flat=True).first()
    settled = now - _SETTLING
    end = floor(settled if waiting is None else min(settled, uuid7.time_of(waiting)))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("delete from event_tally where hour < %s", [now - KEPT])
        cursor.execute(
            f"insert into event_tally (hour, type, events) {_COUNTED} on conflict do nothing",
            _hours(floor(now - KEPT) + HOUR, end),
        )
        return int(cursor.rowcount)


def count_since(start: datetime, now: datetime) -> list[Tally]:
    """Everything that came since the hour of `start`: what was counted is read, the rest is counted now."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"select hour, type, events from event_tally where hour >= %s union all {_COUNTED}",
            [floor(start), *_hours(floor(start), floor(now) + HOUR)],
        )
        return [Tally(*row) for row in cursor.fetchall()]


def floor(at: datetime) -> datetime:
    """The beginning of an hour, in UTC."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _hours(start: datetime, end: datetime) -> Sequence[list[Any]]:
    hours = [start + HOUR * step for step in range(max(0, (end - start) // HOUR))]
    return hours, [str(uuid7.lowest(hour)) for hour in hours], [str(uuid7.lowest(hour + HOUR)) for hour in hours]
