"""Reading the two change logs, missing nothing: how far each export has come. The only writer of `ExportCursor`.

Transactions commit in another order than they begin, so neither a time nor an id says what a reader has seen. Each
log row carries the number of its transaction, and a read takes the rows below the oldest number that was still
running when the read began: everything below it has ended, and what ends later has a higher number. So a row is taken
exactly once, however commits fall. The price: a writing transaction left open anywhere on the server holds every
export back; `oldest_writer` names it.

Numbers of one database mean nothing in another, hence `cluster`: a restored copy compares everyone again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from core.work import database
from schedules.models import ExportCursor

CANDIDATES = 10_000  # log rows of one read; a single transaction may hold more, and is never split


@dataclass(frozen=True, slots=True)
class Taken:
    """One read of the logs: every transaction below `mark` is taken; `until` is where this run stops reading."""

    mark: int
    until: int
    rows: int

    @property
    def more(self) -> bool:
        """Whether another read of this run would take more."""
        return self.mark < self.until


@dataclass(frozen=True, slots=True)
class OldestWriter:
    """The oldest transaction on the server that has written and is still open: exports wait for it."""

    pid: int
    application: str
    database: str
    state: str
    seconds: float


def read_horizon() -> int:
    """The oldest transaction number that may still be running: all below have ended, and later statements see them."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        return int(cursor.fetchone()[0])


def read_newest() -> int:
    """A number that no transaction has yet: once the horizon has reached it, all that are open now have ended."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        return int(cursor.fetchone()[0])


def find(schedule_id: int, *, mapping_version: int) -> int | None:
    """The mark from which the logs say all that changed; None when everyone has to be compared first."""
    known = ExportCursor.objects.filter(schedule_id=schedule_id).first()
    if known is None or known.mapping_version != mapping_version or known.cluster != database.identify():
        return None
    return known.mark


def move(schedule_id: int, *, mark: int, mapping_version: int) -> None:
    """Store how far the logs are taken, in the transaction that stores what is owed because of them."""
    ExportCursor.objects.update_or_create(
        schedule_id=schedule_id,
        defaults={"mark": mark, "cluster": database.identify(), "mapping_version": mapping_version},
    )


def least_mark() -> int | None:
    """The logs must keep every row from this transaction number on; None when no export reads them."""
    with connection.cursor() as cursor:
        cursor.execute("select min(mark) from export_cursor where cluster = %s", [database.identify()])
        found = cursor.fetchone()[0]
    return None if found is None else int(found)


def oldest_writer() -> OldestWriter | None:
    """What holds the exports back just now, if anything does: the oldest open transaction but our own that wrote."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select pid, application_name, coalesce(datname, ''), coalesce(state, ''),"
            " extract(epoch from clock_timestamp() - xact_start)::float"
            " from pg_stat_activity where backend_xid is not null and pid <> pg_backend_pid()"
            " order by age(backend_xid) desc limit 1"
        )
        row = cursor.fetchone()
    return OldestWriter(*row) if row else None


# The rows below `cut` are complete transactions: `cut` is the number of the first row beyond the limit or, when the
# first transaction alone is longer than that, the number after its own. One statement, so one snapshot for both the
# horizon and the rows. Scalar subqueries let the planner walk the index of each partition from the mark on.
_TAKE = """
    with horizon as materialized (
        select least(pg_snapshot_xmin(pg_current_snapshot())::text::bigint, %(until)s) as hi
    ), ahead as materialized (
        select xid from (
            (select xid from profile_change
              where xid >= %(mark)s and xid < (select hi from horizon) order by xid limit %(limit)s + 1)
            union all
            (select xid from group_membership_change
              where xid >= %(mark)s and xid < (select hi from horizon) order by xid limit %(limit)s + 1)
        ) both_logs order by xid limit %(limit)s + 1
    ), bound as materialized (
        select case
            when count(*) <= %(limit)s then (select hi from horizon)
            when max(xid) > min(xid) then max(xid)
            else max(xid) + 1
        end as cut from ahead
    ), taken as materialized (
        select profile_id from profile_change where xid >= %(mark)s and xid < (select cut from bound)
        union all
        select profile_id from group_membership_change
         where xid >= %(mark)s and xid < (select cut from bound) and group_id = any(%(groups)s::bigint[])
    ), noted as (
        insert into export_candidate (profile_id) select distinct profile_id from taken on conflict do nothing
    )
    select (select cut from bound), (select hi from horizon), (select count(*) from taken)
"""


def take(mark: int, *, until: int | None, group_ids: Sequence[int], limit: int = CANDIDATES) -> Taken:
    """Put the profiles of the next log rows into the temporary table `export_candidate`.

    Takes whole transactions with numbers from `mark` on, about `limit` rows of them. `until` is what the run's first
    read gave (None for that first one): what is written while a run reads is left to the next, so that it ends.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _TAKE,
            {"mark": mark, "until": 2**62 if until is None else until, "groups": list(group_ids), "limit": limit},
        )
        cut, horizon, rows = cursor.fetchone()
    # A mark is never moved back, not even when the horizon seems to lie below it.
    return Taken(mark=max(mark, int(cut)), until=max(mark, int(horizon)), rows=int(rows))
