"""How the demo's flow is started and how far it is: imports, groups, exports, events. Reads the product's tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import Count, OuterRef, Subquery

from core.accounts.actors import SYSTEM
from grouparoo.demo.configuration import (
    EXPORTS,
    GROUPS,
    IMPORTS,
    MAILCHIMP_EXPORT,
    SUBSCRIPTION,
    TABLE_EXPORT,
    import_name,
)
from grouparoo.screen import Bar
from groups.models import Group
from schedules import runs, schedules_store
from schedules.models import Run, RunState, Schedule
from schedules.outbound.models import ENDED, OutboundDelivery, Subscription

_BROKEN = (RunState.FAILED, RunState.STOPPED)
# Everyone who should be at the destination or is: for how many it has the groups they should have there, and how many
# they are. Who has no email cannot be sent; whom the destination rejected has had an answer.
_SENDING = """
    select count(*) filter (where w.names is not null and
                              (r.state = 'rejected'
                               or r.state = 'held' and r.group_names @> w.names and r.group_names <@ w.names)),
           count(*)
      from (select m.profile_id, jsonb_agg(g.name) as names
              from schedule_group g
              join group_member m on m.group_id = g.group_id
              join profile p on p.guid = m.profile_id and p.properties ->> 'email' is not null
             where g.schedule_id = %(schedule)s
             group by 1) w
      full join (select * from export_record
                  where schedule_id = %(schedule)s and (key is not null or owed_key is not null)) r
        on r.profile_id = w.profile_id
"""
# Whether the subscription has an event yet to read.
_UNREAD = """
    select exists (select from event e join outbound_cursor c on e.xid >= c.mark where c.subscription_id = %s)
"""


@dataclass(frozen=True, slots=True)
class Flow:
    """How far the flow is. `problem` says what went wrong and what to do; empty when all is well."""

    bars: Sequence[Bar]
    is_done: bool
    problem: str = ""


def start() -> None:
    """Start the imports that are due (at first: all), and go on with what an earlier start left broken."""
    runs.start_due()
    for run in _last_runs():
        if run.state in _BROKEN:
            if run.schedule.halted_reason:
                schedules_store.resume(run.schedule_id, actor=SYSTEM)
            runs.retry_run(run.pk, actor=SYSTEM)


def look() -> Flow:
    """Read how far imports, groups and exports are; called twice a second from one thread."""
    last = {run.schedule.name: run for run in _last_runs()}
    imported = [_import_bar(table, last.get(import_name(table))) for table in IMPORTS]
    is_imported = all(bar.ended for bar in imported)
    grouped = _group_bars(is_imported=is_imported)
    is_grouped = is_imported and all(bar.ended for bar in grouped)
    table = _export_bar("Export to a table", TABLE_EXPORT, last.get(TABLE_EXPORT), is_grouped=is_grouped)
    members = _export_bar("Export to Mailchimp", MAILCHIMP_EXPORT, last.get(MAILCHIMP_EXPORT), is_grouped=is_grouped)
    sent = _events_bar(is_grouped=is_grouped)
    leaving = [table, members, sent]
    problem = " ".join(
        f"“{name}” {run.get_state_display().lower()}: {run.error or 'no reason given.'} Start the demo again to go on."
        for name, run in last.items()
        if run.state in _BROKEN
    )
    return Flow([*imported, *grouped, *leaving], all(bar.ended for bar in leaving) and not problem, problem)


def count_exported(schedule: str) -> tuple[int, int]:
    """Of how many people the destination of a schedule knows the present state, and of how many it should."""
    with connection.cursor() as cursor:
        cursor.execute(_SENDING, {"schedule": Schedule.objects.values_list("pk", flat=True).get(name=schedule)})
        done, total = cursor.fetchone()
    return done, total


def _last_runs() -> list[Run]:
    """The newest run of each of the demo's schedules that has one."""
    names = [*map(import_name, IMPORTS), *EXPORTS]
    newest = Run.objects.filter(schedule=OuterRef("schedule")).order_by("-pk").values("pk")[:1]
    return list(
        Run.objects.filter(schedule__name__in=names, pk=Subquery(newest))
        .select_related("schedule", "work")
        .order_by("pk")
    )


def _import_bar(table: str, run: Run | None) -> Bar:
    done, total = (run.work.done, run.work.total) if run else (0, None)
    return Bar(f"Import {table}", done, total, ended=run is not None and run.state == RunState.COMPLETE)


def _group_bars(*, is_imported: bool) -> list[Bar]:
    """A group has everyone it should have when its rules were applied to all, and no import brings more people."""
    groups = Group.objects.filter(name__in=GROUPS).annotate(size=Count("members")).order_by("name")
    return [
        Bar(
            f"Group {group.name}",
            group.size,
            None,
            ended=is_imported and group.calculated_version == group.rules_version,
        )
        for group in groups
    ]


def _export_bar(label: str, schedule: str, run: Run | None, *, is_grouped: bool) -> Bar:
    done, total = count_exported(schedule)
    is_idle = run is not None and run.state == RunState.COMPLETE
    ended = is_grouped and is_idle and done == total
    return Bar(label, done, total if is_grouped else None, ended=ended)  # until then more may come


def _events_bar(*, is_grouped: bool) -> Bar:
    subscription = Subscription.objects.get(name=SUBSCRIPTION)
    deliveries = OutboundDelivery.objects.filter(subscription_id=subscription.pk)
    total, done = deliveries.count(), deliveries.filter(state__in=ENDED).count()
    with connection.cursor() as cursor:
        cursor.execute(_UNREAD, [subscription.pk])
        (is_behind,) = cursor.fetchone()
    is_read = is_grouped and not is_behind
    return Bar("Events to Mailchimp", done, total if is_read else None, ended=is_read and done == total)
