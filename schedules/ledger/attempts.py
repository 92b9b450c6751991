"""Rows on their way to a destination: claimed by an attempt, answered, or in doubt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import starmap
from typing import Any
from uuid import UUID

from django.db import connection
from psycopg2.extras import execute_values

from core.work.leases import LEASE_SECONDS
from plugins.contracts import Outcome, OutcomeKind
from schedules import sent_log
from schedules.ledger.rows import COLUMNS, OwedRow, read_row, remember, write_ids, write_list
from schedules.models import RecordState
from schedules.payloads import KEYED_PLANS

FIRST_RETRY_SECONDS = 10
LONGEST_RETRY_SECONDS = 3600
_ERROR_LENGTH = 1000
_NO_REASON = "The App gave no reason."  # who was rejected is found by having one

# `after` keeps a batch from walking over the index entries of all batches before it.
_CLAIM = f"""
    with due as materialized (
        select ctid as place from export_record
         where schedule_id = %(schedule)s and state = 'owed' and next_at <= now() and next_at >= %(after)s
         order by next_at limit %(limit)s
    )
    update export_record r set state = 'sent', attempt_id = %(attempt)s, sent_at = clock_timestamp(), run_id = %(run)s
      from due where r.ctid = due.place
    returning {COLUMNS}
"""

# A call left unanswered: it may have changed the destination, so what it carried is remembered beside what is owed.
# An unanswered removal leaves doubt about the key that it should have removed.
_DOUBT = """
    update export_record
       set state = 'owed', attempt_id = null,
           may_hold = case
               when coalesce(owed_key, key) is null then may_hold
               when may_hold @> jsonb_build_array(jsonb_build_object('key', coalesce(owed_key, key))) then may_hold
               else coalesce(may_hold, '[]') || jsonb_build_array(jsonb_build_object(
                        'key', coalesce(owed_key, key),
                        'payload', case when owed_key is null then payload else owed_payload end,
                        'groups', case when owed_key is null then group_names else owed_group_names end))
           end
     where schedule_id = %(schedule)s and next_at is not null and state = 'sent' and attempt_id = any(%(attempts)s)
"""

# Here every key of the row is known, so accepting needs no values: what was owed is what is held. Rows are found by
# their profile (`+ 0` keeps the planner from an index that begins with the schedule): it knows nothing of a young
# ledger, and would read all of it for every batch.
_ACCEPTED = """
 where r.profile_id = any(%(ids)s::uuid[]) and r.schedule_id + 0 = %(schedule)s and r.attempt_id = %(attempt)s
"""
_REMOVE = f"delete from export_record r {_ACCEPTED} and r.owed_key is null"
_ACCEPT = f"""
    update export_record r
       set state = 'held', key = r.owed_key, payload = r.owed_payload, group_names = r.owed_group_names,
           owed_key = null, owed_payload = null, owed_group_names = null, may_hold = null,
           attempts = 0, next_at = null, attempt_id = null, accepted_at = clock_timestamp(), error = ''
    {_ACCEPTED}
"""

_PUT_OFF = """
    update export_record r
       set state = %(state)s, error = v.error, attempt_id = null,
           attempts = r.attempts + v.tries::int,
           next_at = case when %(state)s = 'owed' then clock_timestamp() + interval '1 second' * case
               when v.after is not null then v.after::float8
               else least(%(longest)s, %(first)s * 2 ^ least(r.attempts, 20)) * (0.75 + random() / 2)
           end end,
           may_hold = v.may_hold::jsonb
      from (select q.ctid as place, w.*
              from (values %%s) w (id, error, tries, after, may_hold)
             cross join lateral (
                   select ctid, attempt_id from export_record
                    where profile_id = w.id::uuid and schedule_id + 0 = %(schedule)s offset 0) q
             where q.attempt_id = %(attempt)s) v
     where r.ctid = v.place
"""


def claim(schedule_id: int, *, attempt_id: UUID, run_id: int, after: datetime | None, limit: int) -> list[OwedRow]:
    """Mark the next due rows as sent by this attempt and return them; committed before the call is made."""
    with connection.cursor() as cursor:
        cursor.execute(KEYED_PLANS)
        cursor.execute(
            _CLAIM,
            {
                "schedule": schedule_id,
                "attempt": attempt_id,
                "run": run_id,
                "after": after or "-infinity",
                "limit": limit,
            },
        )
        return list(starmap(read_row, cursor.fetchall()))


def find_unanswered(schedule_id: int) -> tuple[list[UUID], bool]:
    """The attempts that were sent and never answered, and whether there are others that may still be answered."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select attempt_id, max(sent_at) < clock_timestamp() - %s * interval '1 second' from export_record"
            " where schedule_id = %s and next_at is not null and state = 'sent' group by attempt_id",
            [LEASE_SECONDS, schedule_id],
        )
        found = cursor.fetchall()
    return [attempt for attempt, is_old in found if is_old], any(not is_old for _, is_old in found)


def read_attempt(schedule_id: int, *, attempt_id: UUID) -> list[OwedRow]:
    """The rows that one attempt sent."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"select {COLUMNS} from export_record r"
            " where r.schedule_id = %s and r.next_at is not null and r.state = 'sent' and r.attempt_id = %s",
            [schedule_id, attempt_id],
        )
        return list(starmap(read_row, cursor.fetchall()))


def doubt(schedule_id: int, *, attempts: Sequence[UUID]) -> None:
    """Owe again what these attempts sent, remembering that it may have arrived."""
    with connection.cursor() as cursor:
        cursor.execute(_DOUBT, {"schedule": schedule_id, "attempts": list(attempts)})


def record(
    schedule_id: int, *, attempt_id: UUID, answers: Sequence[tuple[OwedRow, Outcome]], all_wait: bool = False
) -> None:
    """Store what became of the rows of one attempt; rows that another attempt has taken since are left alone.

    `all_wait`: the run waits as a whole, so that its rows need not; and the log does not name each of them.
    """
    with connection.cursor() as cursor:
        cursor.execute(KEYED_PLANS)
    if not all_wait:
        sent_log.append(
            schedule_id, attempt_id=attempt_id, outcomes=[(row.profile, outcome) for row, outcome in answers]
        )
    by_kind: dict[OutcomeKind, list[tuple[OwedRow, Outcome]]] = {}
    for row, outcome in answers:
        by_kind.setdefault(outcome.kind, []).append((row, outcome))
    given: dict[str, Any] = {"schedule": schedule_id, "attempt": attempt_id}
    with connection.cursor() as cursor:
        if accepted := by_kind.get(OutcomeKind.ACCEPTED):
            kept = [row.profile for row, _ in accepted if row.owed]
            removed = [row.profile for row, _ in accepted if not row.owed]
            for statement, ids in ((_REMOVE, removed), (_ACCEPT, kept)):
                if ids:
                    cursor.execute(statement, {**given, "ids": write_ids(ids)})
        _put_off(cursor, given, RecordState.REJECTED, by_kind.get(OutcomeKind.REJECT, []), at_once=False)
        again = by_kind.get(OutcomeKind.RETRY, []) + by_kind.get(OutcomeKind.HALT, [])
        _put_off(cursor, given, RecordState.OWED, again, at_once=all_wait)


def _put_off(
    cursor: Any,
    given: Mapping[str, Any],
    state: RecordState,
    answers: Sequence[tuple[OwedRow, Outcome]],
    *,
    at_once: bool,
) -> None:
    if not answers:
        return
    values = [
        (
            row.profile,
            (outcome.reason or _NO_REASON)[:_ERROR_LENGTH],
            outcome.kind is OutcomeKind.RETRY and outcome.after is None,
            0.0 if at_once or outcome.kind is OutcomeKind.HALT else outcome.after,
            write_list(row.may_hold if state is RecordState.REJECTED else remember(row)),
        )
        for row, outcome in answers
    ]
    parameters = {**given, "state": state.value, "first": FIRST_RETRY_SECONDS, "longest": LONGEST_RETRY_SECONDS}
    statement = cursor.mogrify(_PUT_OFF, parameters).decode()
    execute_values(cursor.cursor, statement, values, page_size=len(values))
