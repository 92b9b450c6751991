"""What destinations are owed: decided, planned, released or held back, and owed once more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import connection
from django.db.models.functions import Now

from schedules.comparing import REFUSED
from schedules.models import ExportRecord, RecordState

FAR = datetime(9000, 1, 1, tzinfo=UTC)  # when what is only planned is due

# ---------------------------------------------------------------- decisions

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

# Those who have a row change in one statement, since keys may change places within it; then come those who have none,
# who give up no key. Only a run, which holds the schedule's lease, adds rows, so these are inserted plainly: `on
# conflict` for all of them takes a third longer.
_APPLY = """
    delete from export_record
     where schedule_id = %(schedule)s
       and profile_id = any(array(select profile_id from export_decision where action = 'drop'));

    update export_record r
       set state = {state}, owed_key = {owed_key}, owed_payload = {owed_payload}, owed_group_names = {owed_groups},
           claimed_key = case when d.action = 'refuse' then r.key
                              else coalesce(d.key, r.key, r.may_hold #>> '{{0,key}}') end,
           attempts = case when d.action = 'owe' and r.state = 'owed' then r.attempts else 0 end,
           next_at = case when d.action = 'owe' and r.state = 'owed' and not %(is_plan)s then r.next_at
                          else {next_at} end,
           error = {error}, run_id = %(run)s, attempt_id = null, change_id = {change_id}
      from export_decision d
     where d.is_known and d.action in ('settle', 'owe', 'refuse')
       and r.profile_id = d.profile_id and r.schedule_id + 0 = %(schedule)s;

    insert into export_record (schedule_id, profile_id, state, owed_key, owed_payload, owed_group_names, claimed_key,
                               attempts, next_at, error, run_id, change_id)
    select %(schedule)s, d.profile_id, {state}, {owed_key}, {owed_payload}, {owed_groups},
           case when d.action <> 'refuse' then d.key end, 0, {next_at}, {error}, %(run)s, {change_id}
      from export_decision d
     where not d.is_known and d.action in ('settle', 'owe', 'refuse')
""".format(
    state="case d.action when 'settle' then 'held' when 'refuse' then 'rejected' else %(owed)s end",
    owed_key="case when d.action <> 'settle' then d.key end",
    owed_payload="case when d.action <> 'settle' then d.payload end",
    owed_groups="case when d.action <> 'settle' then d.group_names end",
    next_at="case when d.action = 'owe' then case when %(is_plan)s then %(far)s::timestamptz else now() end end",
    error="case when d.action = 'refuse' then %(refused)s else '' end",
    change_id="case when d.action = 'owe' then md5(%(seed)s || d.profile_id)::uuid end",
)


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
        "is_plan": is_plan,
        "far": FAR,
        "seed": uuid4().hex,  # a random number from the database for each row would take several times as long
    }
    with connection.cursor() as cursor:
        cursor.execute(_APPLY, given)


# ---------------------------------------------------------------- how much it is


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


def has_due(schedule_id: int) -> bool:
    """Whether anything may be sent just now."""
    due = ExportRecord.objects.filter(schedule_id=schedule_id, state=RecordState.OWED, next_at__lte=Now())
    return due.exists()


# ---------------------------------------------------------------- plans


def release(schedule_id: int) -> None:
    """What was only planned is owed from now on."""
    planned = ExportRecord.objects.filter(schedule_id=schedule_id, next_at=FAR, state=RecordState.PLANNED)
    planned.update(state=RecordState.OWED, next_at=Now())


def hold_back(schedule_id: int) -> None:
    """What is owed is only planned from now on: nothing of it leaves until a person has looked."""
    owed = ExportRecord.objects.filter(schedule_id=schedule_id, next_at__isnull=False, state=RecordState.OWED)
    owed.update(state=RecordState.PLANNED, next_at=FAR)


# ---------------------------------------------------------------- once more

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
