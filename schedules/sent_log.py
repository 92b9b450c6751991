"""What exports sent, when, and what was answered: a log for people who ask. The only writer of `SentLog`.

`schedules/ledger/attempts.py` appends to it in the transaction that records the answers, from what the ledger held
just before. Its weeks are dropped when the retention of logs is over.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet
from psycopg2.extras import execute_values

from plugins.contracts import ACCEPTED, Outcome
from schedules.ledger.rows import write_ids
from schedules.models import SentLog

_TEXT_LENGTH = 1000

# By the profile alone: see `schedules/ledger/attempts.py`.
_APPEND = """
    insert into sent_log (schedule_id, run_id, profile_id, kind, key, outcome, before, after, groups_before,
                          groups_after, text)
    select r.schedule_id, r.run_id, r.profile_id,
           case when r.owed_key is null then 'removed' when r.key is null then 'created' else 'updated' end,
           coalesce(r.owed_key, r.key, r.may_hold #>> '{{0,key}}', ''), {outcome}, r.payload, r.owed_payload,
           r.group_names, r.owed_group_names, {text}
      from {people}
     cross join lateral (
           select * from export_record where profile_id = v.id and schedule_id + 0 = %(schedule)s offset 0) r
     where r.attempt_id = %(attempt)s
"""
_PLAINLY_ACCEPTED = _APPEND.format(outcome="'accepted'", text="''", people="unnest(%(ids)s::uuid[]) v(id)")
_ANSWERED = _APPEND.format(
    outcome="v.outcome",
    text="v.text",
    people="(select w.id::uuid, w.outcome, w.text from (values %%s) w (id, outcome, text)) v",
)


def append(schedule_id: int, *, attempt_id: UUID, outcomes: Sequence[tuple[str, Outcome]]) -> None:
    """Log what one attempt sent and what became of it, before the ledger changes; the caller has set keyed plans."""
    given: dict[str, Any] = {"schedule": schedule_id, "attempt": attempt_id}
    plain = [profile for profile, outcome in outcomes if outcome == ACCEPTED]
    told = [(profile, outcome.kind.value, _say(outcome)) for profile, outcome in outcomes if outcome != ACCEPTED]
    with connection.cursor() as cursor:
        if plain:
            cursor.execute(_PLAINLY_ACCEPTED, {**given, "ids": write_ids(plain)})
        if told:
            statement = cursor.mogrify(_ANSWERED, given).decode()
            execute_values(cursor.cursor, statement, told, page_size=len(told))


def of_profiles(profile_ids: Sequence[UUID] | QuerySet[Any, Any]) -> QuerySet[SentLog]:
    """What was sent of these profiles, the latest first."""
    return SentLog.objects.filter(profile_id__in=profile_ids).order_by("-at", "-id")


def of_run(run_id: int, *, since: datetime, until: datetime) -> QuerySet[SentLog]:
    """What one run sent between two times, in the order in which it did."""
    return SentLog.objects.filter(run_id=run_id, at__gte=since, at__lte=until).order_by("at", "id")


def _say(outcome: Outcome) -> str:
    return "\n".join(part for part in (outcome.reason, outcome.reply) if part)[:_TEXT_LENGTH]


def forget_people(profile_ids: Sequence[UUID], *, limit: int) -> int:
    """Delete some of what was sent of people who are being erased; how many rows. In the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "delete from sent_log s using (select id, at from sent_log where profile_id = any(%s) limit %s) gone"
            " where s.id = gone.id and s.at = gone.at",
            [list(profile_ids), limit],
        )
        return int(cursor.rowcount)
