"""Weekly partitions of the tables that grow for ever: made ahead of need, dropped when their time is over.

Each such table has a DEFAULT partition too, so that a clock that jumps never loses a row.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import IntegrityError, connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg2 import sql

from core.lib import uuid7

log = logging.getLogger(__name__)

WEEK = timedelta(days=7)
_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)  # a Monday
_LOCK = 0x67726F7570  # one maker of partitions at a time


@dataclass(frozen=True, slots=True)
class PartitionedTable:
    """A table partitioned by range of time, or of a UUIDv7 that carries the time."""

    name: str
    bound: Callable[[datetime], str]


def by_time(name: str) -> PartitionedTable:
    """A table partitioned by a timestamp column."""
    return PartitionedTable(name, lambda at: at.isoformat())


def by_uuid7(name: str) -> PartitionedTable:
    """A table partitioned by a UUIDv7 column."""
    return PartitionedTable(name, lambda at: str(uuid7.lowest(at)))


TABLES: tuple[PartitionedTable, ...] = (
    by_uuid7("event"),
    by_time("profile_change"),
    by_time("group_membership_change"),
    by_time("sent_log"),
)


def week_start(at: datetime) -> datetime:
    """The Monday 00:00 UTC at or before `at`."""
    return _EPOCH + WEEK * ((at - _EPOCH) // WEEK)


def missing(now: datetime) -> list[tuple[PartitionedTable, datetime]]:
    """The partitions of this week and the two after it that do not exist yet."""
    with connection.cursor() as cursor:
        cursor.execute("select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid")
        existing = {row[0] for row in cursor.fetchall()}
    starts = [week_start(now) + WEEK * ahead for ahead in range(3)]
    return [(table, start) for table in TABLES for start in starts if _name(table, start) not in existing]


def ensure(now: datetime) -> int:
    """Make the missing partitions; how many were made. Safe to call from many processes at once.

    A week whose rows already landed in the DEFAULT partition (the clock jumped) is left there: the database refuses
    to split them off, and nothing is lost by reading them where they are.
    """
    made = 0
    for table, start in missing(now):
        try:
            made += _make(table, start)
        except IntegrityError:
            log.warning("%s already has rows of the week of %s in its default partition", table.name, start.date())
    return made


def _make(table: PartitionedTable, start: datetime) -> int:
    statement = sql.SQL("create table if not exists {} partition of {} for values from ({}) to ({})").format(
        sql.Identifier(_name(table, start)),
        sql.Identifier(table.name),
        sql.Literal(table.bound(start)),
        sql.Literal(table.bound(start + WEEK)),
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
        cursor.execute(statement)
    return 1


def drop_before(table: str, at: datetime, *, read_until: int | None = None) -> list[str]:
    """Drop the partitions of `table` that end at or before `at`; the names of those dropped.

    `read_until` is the least transaction number that some reader still needs: a partition that holds a row of it or
    of a later one stays.
    """
    limit = f"{table}_{week_start(at):%Y%m%d}"
    dropped = []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid "
            "where i.inhparent = %s::regclass and c.relname ~ %s and c.relname < %s order by 1",
            [table, rf"^{table}_\d{{8}}$", limit],
        )
        for (name,) in cursor.fetchall():
            if read_until is not None and _is_needed(cursor, name, read_until):
                break
            cursor.execute(sql.SQL("drop table {}").format(sql.Identifier(name)))
            dropped.append(name)
    return dropped


def _is_needed(cursor: CursorWrapper, name: str, read_until: int) -> bool:
    cursor.execute(sql.SQL("select exists (select from {} where xid >= %s)").format(sql.Identifier(name)), [read_until])
    return bool(cursor.fetchone()[0])


def _name(table: PartitionedTable, start: datetime) -> str:
    return f"{table.name}_{start:%Y%m%d}"
