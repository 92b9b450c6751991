from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection

from core.lib import uuid7
from core.work import partitions

pytestmark = pytest.mark.django_db

WEDNESDAY = datetime(2031, 5, 14, 12, tzinfo=UTC)


def names(table: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid"
            " where i.inhparent = %s::regclass",
            [table],
        )
        return {row[0] for row in cursor.fetchall()}


def test_this_week_and_two_ahead_are_made_once() -> None:
    assert partitions.ensure(WEDNESDAY) == 12
    assert partitions.ensure(WEDNESDAY) == 0
    assert {"event_20310512", "event_20310519", "event_20310526"} <= names("event")


def test_rows_land_in_the_week_of_their_id_and_go_with_it() -> None:
    partitions.ensure(WEDNESDAY)
    [early, late] = uuid7.make_many(WEDNESDAY, 1) + uuid7.make_many(WEDNESDAY + timedelta(days=7), 1)
    for event_id in (early, late):
        store(event_id)
    assert count("event_20310512") == count("event_20310519") == 1
    assert partitions.drop_before("event", WEDNESDAY + timedelta(days=7)) == ["event_20310512"]
    assert count("event") == 1


def test_a_log_that_somebody_has_yet_to_read_is_kept() -> None:
    partitions.ensure(WEDNESDAY)
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into profile_change (xid, at, profile_id, changes, cause)"
            " values (50, %s, gen_random_uuid(), '{}', '')",
            [WEDNESDAY],
        )
    after = WEDNESDAY + timedelta(days=30)
    assert partitions.drop_before("profile_change", after, read_until=50) == []
    assert "profile_change_20310512" in partitions.drop_before("profile_change", after, read_until=51)


def test_rows_of_a_week_without_partition_are_not_lost_and_nothing_fails() -> None:
    [event_id] = uuid7.make_many(WEDNESDAY, 1)
    store(event_id)
    assert count("event_default") == 1
    assert partitions.ensure(WEDNESDAY) == 11
    assert count("event") == 1


def count(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"select count(*) from {table}")
        return int(cursor.fetchone()[0])


def store(event_id: UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into event (id, message_id, type, occurred_at, received_at, source_kind, source_id, payload, state)"
            " values (%s, '', '', now(), now(), 'run', 1, '{}', 'processed')",
            [event_id],
        )
