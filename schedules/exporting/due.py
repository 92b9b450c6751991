"""Which exports should run now though their rhythm does not say so."""

from __future__ import annotations

from django.db import connection

from core.accounts import project
from schedules import cursor

_CHANGES_SECONDS = 2
_PLAN_SECONDS = 600  # how long an export that follows changes waits for someone to decide on the plan of a dry run

# Rows to be tried again, or an export that follows changes and has some to read. Right after a change still leaves a
# few seconds between two runs, so that what comes in one by one goes out together.
_DUE = """
    select s.id from schedule s
      join app a on a.id = s.app_id and a.paused_at is null
      left join export_cursor c on c.schedule_id = s.id and c.mapping_version = s.mapping_version
     where s.direction = 'export' and s.enabled and s.halted_reason = ''
       and not exists (select from run r where r.schedule_id = s.id and r.state in ('pending', 'running'))
       and (exists (select from export_record e where e.schedule_id = s.id and e.state in ('owed', 'sent')
                       and e.next_at <= clock_timestamp())
            or s.after_changes
               and not exists (select from run r where r.schedule_id = s.id
                                  and r.created_at > clock_timestamp() - %(pause)s * interval '1 second')
               and (c.mark is null
                    or (select r.counters ? 'plan_held' from run r where r.schedule_id = s.id
                         order by r.created_at desc limit 1)
                       and not exists (select from run r where r.schedule_id = s.id
                                          and r.finished_at > clock_timestamp() - %(patience)s * interval '1 second')
                    or exists (select from profile_change l where l.xid >= c.mark and l.xid < %(horizon)s)
                    or exists (select from group_membership_change l where l.xid >= c.mark and l.xid < %(horizon)s)))
     order by s.id limit 100
"""


def find_due() -> list[int]:
    """The exports to run for retries, or right after a change."""
    if project.current().sending_stopped:
        return []
    with connection.cursor() as database:
        given = {"pause": _CHANGES_SECONDS, "patience": _PLAN_SECONDS, "horizon": cursor.read_horizon()}
        database.execute(_DUE, given)
        return [row[0] for row in database.fetchall()]
