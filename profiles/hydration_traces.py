"""What each batch asked its sources: the statements, without values, with times and rows. The only writer of
`HydrationTrace`.

A trace carries the number of the batch's transaction, as its events and changes do, so an event's page finds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.db import connection

from core.lib.json import dumps
from plugins.contracts import Statement
from profiles.models import HydrationTrace

MOST = 20  # statements of a batch that are kept
_LONGEST = 1000  # characters of one


def note(statements: Sequence[Statement], *, people: int) -> None:
    """Keep what was asked for this many people, in the batch's transaction."""
    if not statements:
        return
    kept = [
        {"text": " ".join(each.text.split())[:_LONGEST], "ms": round(each.seconds * 1000, 1), "rows": each.rows}
        for each in statements[:MOST]
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into hydration_trace (xid, at, people, count, statements)"
            " values (pg_current_xact_id()::text::bigint, clock_timestamp(), %s, %s, %s::jsonb) on conflict do nothing",
            [people, len(statements), dumps(kept)],
        )


def find(xid: int) -> HydrationTrace | None:
    """What the batch of this transaction asked."""
    return HydrationTrace.objects.filter(pk=xid).first()


def forget(*, older_than: timedelta) -> None:
    """Delete what is older than logs are kept."""
    with connection.cursor() as cursor:
        cursor.execute(
            "delete from hydration_trace where at < clock_timestamp() - make_interval(secs => %s)",
            [older_than.total_seconds()],
        )
