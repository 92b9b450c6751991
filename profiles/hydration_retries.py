"""Profiles whose hydration met an App that was down, and when to ask again. The only writer of `HydrationRetry`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from django.db import connection

GIVE_UP_AFTER_HOURS = 24
_LEASE_SECONDS = 120


def note(*, failed: Collection[UUID], answered: Collection[UUID], reason: str) -> None:
    """In the batch's transaction: remember who got no answer, forget who did (or need not be asked again)."""
    with connection.cursor() as cursor:
        if answered:
            cursor.execute("delete from hydration_retry where profile_id = any(%s)", [list(answered)])
        if failed:
            cursor.execute(
                "insert into hydration_retry (profile_id, since, next_at, attempts, reason)"
                " select guid, clock_timestamp(), clock_timestamp() + interval '10 seconds', 1, %s"
                " from unnest(%s::uuid[]) guid order by guid"
                " on conflict (profile_id) do update set attempts = hydration_retry.attempts + 1,"
                " reason = excluded.reason,"
                " next_at = clock_timestamp() + least(600, 10 * 2 ^ least(hydration_retry.attempts, 6))"
                " * interval '1 second'",
                [reason[:500], sorted(failed)],
            )


def claim(*, limit: int) -> list[UUID]:
    """Profiles that are due, kept from other workers for two minutes. Those a day old are given up."""
    with connection.cursor() as cursor:
        cursor.execute(
            "delete from hydration_retry where since < clock_timestamp() - %s * interval '1 hour'",
            [GIVE_UP_AFTER_HOURS],
        )
        cursor.execute(
            "update hydration_retry set next_at = clock_timestamp() + %s * interval '1 second'"
            " where profile_id in (select profile_id from hydration_retry where next_at <= clock_timestamp()"
            "  order by next_at limit %s for update skip locked) returning profile_id",
            [_LEASE_SECONDS, limit],
        )
        return [row[0] for row in cursor.fetchall()]


def waiting() -> Sequence[tuple[str, int]]:
    """How many profiles wait, by reason."""
    with connection.cursor() as cursor:
        cursor.execute("select reason, count(*) from hydration_retry group by reason order by 2 desc limit 20")
        return list(cursor.fetchall())


def forget(profile_ids: Sequence[UUID]) -> int:
    """Ask no more for people who are being erased; how many waited. In the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute("delete from hydration_retry where profile_id = any(%s)", [list(profile_ids)])
        return int(cursor.rowcount)
