"""Removing people who are being erased from what destinations hold, and forgetting what they held."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap
from typing import Any
from uuid import UUID

from django.db import connection

from schedules.ledger.rows import COLUMNS, OwedRow, read_row
from schedules.models import ExportRecord
from schedules.payloads import KEYED_PLANS

# What was owed of them is dropped, and so is a row under which nothing was ever accepted. A call that may still be
# answered is left alone; whoever finds it unanswered comes here again. (Joined, the ledger would be read as a whole by
# every run, even where nobody is being erased.)
_SET_ASIDE = """
    delete from export_record r
     where r.profile_id = any(array(select profile_id from erased_profile)) and r.schedule_id = %(schedule)s
       and r.state <> 'sent' and r.key is null and r.may_hold is null;

    update export_record r
       set state = 'erasing', owed_key = null, owed_payload = null, owed_group_names = null, next_at = null,
           attempt_id = null,
           change_id = case when r.state in ('owed', 'rejected') and r.owed_key is null
                            then coalesce(r.change_id, gen_random_uuid()) else gen_random_uuid() end
     where r.profile_id = any(array(select profile_id from erased_profile)) and r.schedule_id = %(schedule)s
       and r.state not in ('sent', 'erasing')
"""
_CLAIM_ERASED = f"""
    with due as materialized (
        select r.profile_id as id from export_record r join erased_profile x on x.profile_id = r.profile_id
         where r.schedule_id = %(schedule)s and x.erasure_id = %(erasure)s and r.state = 'erasing'
           and r.run_id is distinct from %(run)s
         order by r.profile_id limit %(limit)s
    )
    update export_record r
       set state = 'sent', attempt_id = %(attempt)s, sent_at = clock_timestamp(), run_id = %(run)s, next_at = now()
      from due where r.schedule_id = %(schedule)s and r.profile_id = due.id
    returning {COLUMNS}
"""


def set_aside(schedule_id: int) -> None:
    """Owe the removal of everyone who is being erased, whatever was owed of them; no other run sends it."""
    with connection.cursor() as cursor:
        cursor.execute(KEYED_PLANS)
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
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM_ERASED, given)
        return list(starmap(read_row, cursor.fetchall()))


def forget_people(profile_ids: Sequence[UUID]) -> int:
    """Remove every row of people who are being erased; how many. What a destination may still hold was told before."""
    return ExportRecord.objects.filter(profile_id__in=profile_ids).delete()[0]


def forget(schedule_id: int) -> None:
    """Remove every row of a schedule that is being deleted, in that transaction. What the destination holds stays."""
    ExportRecord.objects.filter(schedule_id=schedule_id).delete()
