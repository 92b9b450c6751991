"""`manage.py check_integrity`: prove what foreign keys on the hot tables would have guaranteed.

Those tables have none because they would cost a third of the throughput. Each check is one statement that finds rows
which should not be there; all of them must find nothing.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

_NOBODY = "not exists (select from profile p where p.guid = {}.profile_id)"

CHECKS: dict[str, str] = {
    "members whose profile does not exist": f"select count(*) from group_member m where {_NOBODY.format('m')}",
    "members whose group does not exist": (
        "select count(*) from group_member m where not exists (select from profile_group g where g.id = m.group_id)"
    ),
    "events whose profile does not exist": (
        f"select count(*) from event e where e.profile_id is not null and {_NOBODY.format('e')}"
    ),
    "changes whose profile does not exist": f"select count(*) from profile_change c where {_NOBODY.format('c')}",
    "dates whose profile does not exist": f"select count(*) from profile_date d where {_NOBODY.format('d')}",
    "dates that are not the profile's value": (
        "select count(*) from profile_date d join profile p on p.guid = d.profile_id"
        " join profile_property_rule r on r.id = d.rule_id"
        " where (p.properties ->> r.key)::timestamptz is distinct from d.at"
    ),
    "ledger rows whose schedule does not exist": (
        "select count(*) from export_record e where not exists (select from schedule s where s.id = e.schedule_id)"
    ),
    "deliveries whose subscription does not exist": (
        "select count(*) from outbound_delivery d where not exists (select from subscription s where s.id ="
        " d.subscription_id)"
    ),
    "deliveries whose profile does not exist": f"select count(*) from outbound_delivery d where {_NOBODY.format('d')}",
    "deliveries that have ended and are still due, or the other way round": (
        "select count(*) from outbound_delivery where (next_at is null)"
        " <> (state in ('accepted', 'rejected', 'given_up', 'skipped'))"
    ),
    "subscriptions that nobody works on": (
        "select count(*) from subscription s where not exists (select from work w where w.kind = 'outbound'"
        " and w.subject = s.id::text and w.state in ('pending', 'running'))"
    ),
    "people being erased whom no work erases": (
        "select count(*) from erased_profile x where not exists (select from erasure e join work w on w.id = e.work_id"
        " where e.id = x.erasure_id and e.finished_at is null and w.state in ('pending', 'running'))"
    ),
    "people being erased whose profile does not exist": (
        f"select count(*) from erased_profile x where {_NOBODY.format('x')} and not exists"
        " (select from erasure e where e.id = x.erasure_id and jsonb_exists(e.steps, 'profiles'))"
    ),
    "work whose run does not exist": (
        "select count(*) from work w where w.kind in ('import', 'export')"
        " and not exists (select from run r where r.work_id = w.id)"
    ),
    "identities whose profile does not exist": f"select count(*) from profile_identity i where {_NOBODY.format('i')}",
    "identities of profiles that became part of another": (
        "select count(*) from profile_identity i join profile p on p.guid = i.profile_id"
        " where p.merged_into is not null"
    ),
    "profiles merged into one that is not there": (
        "select count(*) from profile p where p.merged_into is not null and not exists"
        " (select from profile w where w.guid = p.merged_into and w.merged_into is null)"
    ),
    "identities whose property does not exist": (
        "select count(*) from profile_identity i where i.rule_id <> 0 and not exists"
        " (select from profile_property_rule r where r.id = i.rule_id)"
    ),
    "identities that are not the profile's value": (
        "select count(*) from profile_identity i join profile p on p.guid = i.profile_id"
        " join profile_property_rule r on r.id = i.rule_id"
        " where length(i.value) <= 400 and p.properties ->> r.key is distinct from i.value"
        " and not exists (select from profile t where t.merged_into = p.guid)"  # who keeps all that they brought
    ),
    "messages that are both waiting and stored": (
        "select count(*) from inbox i join event e on e.id = i.id where not i.is_replay"
    ),
}


class Command(BaseCommand):
    """Runs every check and exits non-zero when one finds something."""

    help = __doc__

    def handle(self, *_: Any, **__: Any) -> None:
        """Print one line for each check."""
        failed = 0
        with connection.cursor() as cursor:
            for what, statement in CHECKS.items():
                cursor.execute(statement)
                [(count,)] = cursor.fetchall()
                failed += bool(count)
                self.stdout.write(f"{count:>10,}  {what}")
        if failed:
            raise CommandError(f"{failed} checks found rows that should not be there.")
