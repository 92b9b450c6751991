"""The ledger: what each destination holds of each profile, and what it is owed. The only writer of `ExportRecord`.

Called by `schedules/exporting.py`, always in a transaction that holds the lease of the schedule's run: so there is one
writer for each schedule at a time, and a worker that lost its lease writes nothing. When a schedule is deleted, which
no run outlives, `schedules_store` has its rows removed.

Every key at a destination has at most one profile that answers for it. When a key passes to another profile, what
stands there passes with it (`hand_over`): so no removal is ever sent for a key that someone else stands for, and
nothing is left behind under a key that no one remembers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models.functions import Now
from psycopg2.extras import execute_values

from core.lib.json import dumps, loads
from core.work.leases import LEASE_SECONDS
from plugins.contracts import Outcome, OutcomeKind
from schedules import sent_log
from schedules.comparing import REFUSED
from schedules.models import ExportRecord, RecordState
from schedules.payloads import KEYED_PLANS

FAR = datetime(9000, 1, 1, tzinfo=UTC)  # when what is only planned is due
FIRST_RETRY_SECONDS = 10
LONGEST_RETRY_SECONDS = 3600
_ERROR_LENGTH = 1000


@dataclass(frozen=True, slots=True)
class Held:
    """What the destination holds, or may hold, under one key."""

    key: str
    payload: Mapping[str, Any]
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OwedRow:
    """A row claimed for sending. `owed` None is a removal; `held` None means that nothing was ever accepted."""

    profile: UUID
    held: Held | None
    owed: Held | None
    may_hold: tuple[Held, ...]
    attempts: int
    next_at: datetime
    change: UUID | None  # names what is owed, however often it is sent


# ---------------------------------------------------------------- what is owed

_HAND_OVER = """
    update export_record q
       set key = case when q.key = any(t.keys) then null else q.key end,
           payload = case when q.key = any(t.keys) then null else q.payload end,
           group_names = case when q.key = any(t.keys) then null else q.group_names end,
           claimed_key = case when q.claimed_key = any(t.keys) then null else q.claimed_key end,
           may_hold = (select jsonb_agg(e) from jsonb_array_elements(q.may_hold) e where e ->> 'key' <> all(t.keys))
      from (select from_id, array_agg(key) as keys from export_taken group by from_id) t
     where q.schedule_id = %(schedule)s and q.profile_id = t.from_id;

    insert into export_record as r
           (schedule_id, profile_id, state, key, payload, group_names, may_hold, attempts, error)
    select %(schedule)s, to_id, 'held',
           max(key) filter (where is_certain),
           (jsonb_agg(payload) filter (where is_certain)) -> 0,
           (jsonb_agg(group_names) filter (where is_certain)) -> 0,
           jsonb_agg(jsonb_build_object('key', key, 'payload', payload, 'groups', group_names))
               filter (where not is_certain),
           0, ''
      from export_taken group by to_id
    on conflict (schedule_id, profile_id) do update
       set key = coalesce(r.key, excluded.key),
           payload = case when r.key is null then excluded.payload else r.payload end,
           group_names = case when r.key is null then excluded.group_names else r.group_names end,
           may_hold = nullif(
               coalesce(r.may_hold, '[]') || coalesce(excluded.may_hold, '[]')
               || case when r.key is null or excluded.key is null then '[]' else jsonb_build_array(jsonb_build_object(
                      'key', excluded.key, 'payload', excluded.payload, 'groups', excluded.group_names)) end, '[]');
"""

# One statement for all claims: keys may change places within it.
_APPLY = """
    delete from export_record
     where schedule_id = %(schedule)s
       and profile_id = any(array(select profile_id from export_decision where action = 'drop'));

    insert into export_record as r
           (schedule_id, profile_id, state, owed_key, owed_payload, owed_group_names, claimed_key, attempts, next_at,
            error, run_id, change_id)
    select %(schedule)s, d.profile_id,
           case d.action when 'settle' then 'held' when 'refuse' then 'rejected' else %(owed)s end,
           case when d.action <> 'settle' then d.key end,
           case when d.action <> 'settle' then d.payload end,
           case when d.action <> 'settle' then d.group_names end,
           case when d.action = 'refuse' then k.key else coalesce(d.key, k.key, k.may_hold #>> '{0,key}') end,
           case when d.action = 'owe' and k.state = 'owed' then k.attempts else 0 end,
           case when d.action <> 'owe' then null when %(owed)s = 'planned' then %(far)s::timestamptz
                when k.state = 'owed' then k.next_at else now() end,
           case when d.action = 'refuse' then %(refused)s else '' end,
           %(run)s,
           case when d.action = 'owe' then gen_random_uuid() end
      from export_decision d
      left join export_record k on k.schedule_id = %(schedule)s and k.profile_id = d.profile_id
     where d.action in ('settle', 'owe', 'refuse')
    on conflict (schedule_id, profile_id) do update
       set state = excluded.state, owed_key = excluded.owed_key, owed_payload = excluded.owed_payload,
           owed_group_names = excluded.owed_group_names, claimed_key = excluded.claimed_key,
           attempts = excluded.attempts, next_at = excluded.next_at, error = excluded.error,
           run_id = excluded.run_id, attempt_id = null, change_id = excluded.change_id
"""


def hand_over(schedule_id: int) -> None:
    """Give what stands under the keys of `export_taken` to the profiles that stand for them now."""
    with connection.cursor() as cursor:
        cursor.execute(_HAND_OVER, {"schedule": schedule_id})


def apply_decisions(schedule_id: int, *, run_id: int, is_plan: bool = False) -> None:
    """Owe what `export_decision` says (or only plan it), and drop what it says is owed no more."""
    given: dict[str, Any] = {
        "schedule": schedule_id,
        "run": run_id,
        "refused": REFUSED,
        "owed": (RecordState.PLANNED if is_plan else RecordState.OWED).value,
        "far": FAR,
    }
    with connection.cursor() as cursor:
        cursor.execute(_APPLY, given)


@dataclass(frozen=True, slots=True)
class Owed:
    """What one destination is owed, planned or due: how many people of each kind.

    `changed` are those of `updated` who would hold something else than before.
    """

    created: int
    updated: int
    changed: int
    removed: int
    planned: int

    @property
    def all(self) -> int:
        """Everyone."""
        return self.created + self.updated + self.removed


_SUM_UP = """
    select count(*) filter (where owed_key is not null and key is null),
           count(*) filter (where owed_key is not null and key is not null),
           count(*) filter (where owed_key is not null and key is not null
                              and (owed_key, owed_payload, owed_group_names)
                                  is distinct from (key, payload, group_names)),
           count(*) filter (where owed_key is null),
           count(*) filter (where state = 'planned')
      from export_record where schedule_id = %s and next_at is not null
"""


def sum_up(schedule_id: int) -> Owed:
    """What the destination is owed altogether, from this run or an earlier one."""
    with connection.cursor() as cursor:
        cursor.execute(_SUM_UP, [schedule_id])
        return Owed(*map(int, cursor.fetchone()))


def count_held(schedule_id: int, *, at_most: int | None = None) -> int:
    """How many people the destination holds from us; counting may stop at a number, where more makes no difference."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from (select from export_record where schedule_id = %s and key is not null limit %s) held",
            [schedule_id, at_most],
        )
        return int(cursor.fetchone()[0])


def release(schedule_id: int) -> None:
    """What was only planned is owed from now on."""
    planned = ExportRecord.objects.filter(schedule_id=schedule_id, next_at=FAR, state=RecordState.PLANNED)
    planned.update(state=RecordState.OWED, next_at=Now())


def hold_back(schedule_id: int) -> None:
    """What is owed is only planned from now on: nothing of it leaves until a person has looked."""
    owed = ExportRecord.objects.filter(schedule_id=schedule_id, next_at__isnull=False, state=RecordState.OWED)
    owed.update(state=RecordState.PLANNED, next_at=FAR)


# Whatever the destination may hold besides is remembered as in doubt, so that everything is written and not only what
# differs from before.
_SEND_AGAIN = """
    with chosen as materialized (
        select profile_id, state, key from export_record
         where schedule_id = %(schedule)s and profile_id > %(after)s and {which}
           and (state = 'rejected' or state = 'held' and key is not null)
         order by profile_id limit %(limit)s
    ), tried as (
        update export_record r
           set state = 'owed', attempts = 0, next_at = now(), error = '', change_id = gen_random_uuid()
          from chosen c where r.schedule_id = %(schedule)s and r.profile_id = c.profile_id and c.state = 'rejected'
           and r.claimed_key is not distinct from coalesce(r.owed_key, r.key)
    ), repeated as (
        update export_record r
           set state = 'owed', owed_key = r.key, owed_payload = r.payload, owed_group_names = r.group_names,
               attempts = 0, next_at = now(), change_id = gen_random_uuid(),
               may_hold = coalesce(r.may_hold, '[]') || jsonb_build_array(jsonb_build_object(
                   'key', r.key, 'payload', r.payload, 'groups', r.group_names))
          from chosen c where r.schedule_id = %(schedule)s and r.profile_id = c.profile_id and c.state = 'held'
    )
    select (select profile_id from chosen order by profile_id desc limit 1), (select count(*) from chosen)
"""


def send_again(schedule_id: int, which: str, given: Mapping[str, Any], *, after: UUID, limit: int) -> tuple[UUID, int]:
    """Owe anew what the destination accepted or refused, for the next `limit` people of `which` (SQL over a row).

    Returns the last of them (`after` when there were none) and how many they were.
    """
    parameters = {**given, "schedule": schedule_id, "after": after, "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(_SEND_AGAIN.format(which=which), parameters)
        last, count = cursor.fetchone()
    return last or after, int(count)


# ---------------------------------------------------------------- erasing a person

# What was owed of them is dropped, and so is a row under which nothing was ever accepted. A call that may still be
# answered is left alone; whoever finds it unanswered comes here again.
_SET_ASIDE = """
    delete from export_record r using erased_profile x
     where r.schedule_id = %(schedule)s and r.profile_id = x.profile_id and r.state <> 'sent'
       and r.key is null and r.may_hold is null;

    update export_record r
       set state = 'erasing', owed_key = null, owed_payload = null, owed_group_names = null, next_at = null,
           attempt_id = null,
           change_id = case when r.state in ('owed', 'rejected') and r.owed_key is null
                            then coalesce(r.change_id, gen_random_uuid()) else gen_random_uuid() end
      from erased_profile x
     where r.schedule_id = %(schedule)s and r.profile_id = x.profile_id and r.state not in ('sent', 'erasing')
"""
_CLAIM_ERASED = """
    with due as materialized (
        select r.profile_id as id from export_record r join erased_profile x on x.profile_id = r.profile_id
         where r.schedule_id = %(schedule)s and x.erasure_id = %(erasure)s and r.state = 'erasing'
           and r.run_id is distinct from %(run)s
         order by r.profile_id limit %(limit)s
    )
    update export_record r
       set state = 'sent', attempt_id = %(attempt)s, sent_at = clock_timestamp(), run_id = %(run)s, next_at = now()
      from due where r.schedule_id = %(schedule)s and r.profile_id = due.id
    returning {columns}
"""


def set_aside(schedule_id: int) -> None:
    """Owe the removal of everyone who is being erased, whatever was owed of them; no other run sends it."""
    with connection.cursor() as cursor:
        cursor.execute(_SET_ASIDE, {"schedule": schedule_id})


def claim_erased(schedule_id: int, *, erasure_id: int, attempt_id: UUID, run_id: int, limit: int) -> list[OwedRow]:
    """Mark the next removals of one erasure as sent by this attempt; committed before the call is made.

    Each run tries a profile once.
    """
    given: dict[str, Any] = {
        "schedule": schedule_id,
        "erasure": erasure_id,
        "attempt": attempt_id,
        "run": run_id,
        "limit": limit,
    }
    columns = ", ".join(f"r.{column.strip()}" for column in _COLUMNS.split(","))
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM_ERASED.format(columns=columns), given)
        return [_read(*row) for row in cursor.fetchall()]


def forget_people(profile_ids: Sequence[UUID]) -> int:
    """Remove every row of people who are being erased; how many. What a destination may still hold was told before."""
    return ExportRecord.objects.filter(profile_id__in=profile_ids).delete()[0]


def forget(schedule_id: int) -> None:
    """Remove every row of a schedule that is being deleted, in that transaction. What the destination holds stays."""
    ExportRecord.objects.filter(schedule_id=schedule_id).delete()


def has_due(schedule_id: int) -> bool:
    """Whether anything may be sent just now."""
    due = ExportRecord.objects.filter(schedule_id=schedule_id, state=RecordState.OWED, next_at__lte=Now())
    return due.exists()


# ---------------------------------------------------------------- sending

_COLUMNS = (
    "profile_id, key, payload, group_names, owed_key, owed_payload, owed_group_names, may_hold, attempts, next_at,"
    " change_id"
)

# `after` keeps a batch from walking over the index entries of all batches before it.
_CLAIM = f"""
    with due as materialized (
        select profile_id as id from export_record
         where schedule_id = %(schedule)s and state = 'owed' and next_at <= now() and next_at >= %(after)s
         order by next_at limit %(limit)s
    )
    update export_record r set state = 'sent', attempt_id = %(attempt)s, sent_at = clock_timestamp(), run_id = %(run)s
      from due where r.schedule_id = %(schedule)s and r.profile_id = due.id
    returning {_COLUMNS}
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

# Here every key of the row is known, so accepting needs no values: what was owed is what is held.
_REMOVE = """
    delete from export_record
     where schedule_id = %(schedule)s and attempt_id = %(attempt)s and profile_id = any(%(ids)s) and owed_key is null
"""
_ACCEPT = """
    update export_record
       set state = 'held', key = owed_key, payload = owed_payload, group_names = owed_group_names,
           owed_key = null, owed_payload = null, owed_group_names = null, may_hold = null,
           attempts = 0, next_at = null, attempt_id = null, accepted_at = clock_timestamp(), error = ''
     where schedule_id = %(schedule)s and attempt_id = %(attempt)s and profile_id = any(%(ids)s)
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
      from (values %%s) v (id, error, tries, after, may_hold)
     where r.schedule_id = %(schedule)s and r.attempt_id = %(attempt)s and r.profile_id = v.id::uuid
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
        return [_read(*row) for row in cursor.fetchall()]


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
            f"select {_COLUMNS} from export_record"
            " where schedule_id = %s and next_at is not null and state = 'sent' and attempt_id = %s",
            [schedule_id, attempt_id],
        )
        return [_read(*row) for row in cursor.fetchall()]


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
                    cursor.execute(statement, {**given, "ids": ids})
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
            str(row.profile),
            outcome.reason[:_ERROR_LENGTH],
            outcome.kind is OutcomeKind.RETRY and outcome.after is None,
            0.0 if at_once or outcome.kind is OutcomeKind.HALT else outcome.after,
            _dump(row.may_hold if state is RecordState.REJECTED else remember(row)),
        )
        for row, outcome in answers
    ]
    parameters = {**given, "state": state.value, "first": FIRST_RETRY_SECONDS, "longest": LONGEST_RETRY_SECONDS}
    statement = cursor.mogrify(_PUT_OFF, parameters).decode()
    execute_values(cursor.cursor, statement, values, page_size=len(values))


def remember(row: OwedRow) -> tuple[Held, ...]:
    """What the destination may hold besides after a call for this row that was not answered."""
    sent = row.owed or row.held
    if sent is None:
        return row.may_hold
    return (*(held for held in row.may_hold if held.key != sent.key), sent)


def _read(
    profile: UUID,
    key: str | None,
    payload: str | None,
    groups: str | None,
    owed_key: str | None,
    owed_payload: str | None,
    owed_groups: str | None,
    may_hold: str | None,
    attempts: int,
    next_at: datetime,
    change: UUID | None,
) -> OwedRow:
    return OwedRow(
        profile=profile,
        held=_held(key, payload, groups),
        owed=_held(owed_key, owed_payload, owed_groups),
        may_hold=tuple(Held(each["key"], each["payload"], tuple(each["groups"] or ())) for each in loads(may_hold))
        if may_hold
        else (),
        attempts=attempts,
        next_at=next_at,
        change=change,
    )


def _held(key: str | None, payload: str | None, groups: str | None) -> Held | None:
    return None if key is None else Held(key, loads(payload or "{}"), tuple(loads(groups or "[]")))


def _dump(may_hold: Sequence[Held]) -> str | None:
    if not may_hold:
        return None
    return dumps([{"key": held.key, "payload": held.payload, "groups": list(held.groups)} for held in may_hold])
