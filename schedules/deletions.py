"""Rows that are gone from a table: after an import run the people known by its id column are looked for there.

The source is asked, a thousand ids at a time, which of them it still has; whoever it has no more is hydrated again, so
that what came from the row becomes empty, within the guards of `profiles/guards.py`. Nobody is deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from django.db import connection, transaction

from apps_connectors.connections import connect
from core.work import leases
from core.work.leases import Lease
from core.work.models import UNFINISHED, Work, WorkState
from core.work.wake import wake
from pipeline.refresh import refresh
from plugins.base import RetrievesProperties
from plugins.contracts import ColumnAsk, PluginError
from profiles import ruleset
from profiles.identity import read_people
from profiles.models import ProfileIdentity, Retrieval
from profiles.ruleset import Rule
from schedules import runs
from schedules.models import Run, Schedule

KIND = "deleted"
PAGE = 1000
MOST_FAILURES = 5  # in a row; the schedule's next run looks again
_ALWAYS_THERE = ("count", "sum")  # of no rows they are 0, so they tell nothing


def queue(run: Run) -> None:
    """Look for deleted rows once this run is complete, where its schedule asks for it; in the caller's transaction."""
    if run.schedule.options.get("look_for_deleted") and _key_rule(run.schedule) is not None:
        leases.enqueue(kind=KIND, subject=str(run.pk))
        wake(KIND)


def look(lease: Lease) -> bool:
    """One page of one run's people; whether there is more."""
    run = Run.objects.select_related("schedule").filter(pk=int(lease.subject)).first()
    rule = _key_rule(run.schedule) if run is not None else None
    if run is None or rule is None or lease.stop_requested:
        lease.finish(state=WorkState.STOPPED)
        return False
    mark = lease.mark or {"after": "", "gone": 0}
    known = ProfileIdentity.objects.filter(rule_id=rule.id, value__gt=mark["after"]).order_by("value")
    page = list(known.values_list("value", "profile_id")[:PAGE])
    if not page:
        with transaction.atomic():
            lease.finish()
            if mark["gone"]:
                runs.count(run.pk, {"deleted": mark["gone"]}, notes=[_say(mark["gone"], run.schedule)])
        return False
    try:
        missing = _find_missing(run.schedule, rule, page)
    except PluginError as error:
        if lease.failures >= MOST_FAILURES:
            lease.finish(state=WorkState.FAILED, error=error.reason)
        else:
            lease.fail_slice(error.reason)
        return False
    affected = _with_values(missing, run.schedule)
    if affected:
        refresh(affected)
    with transaction.atomic():
        following = {"after": page[-1][0], "gone": mark["gone"] + len(affected)}
        lease.hold(mark=following, done=lease.done + len(page), total=lease.total or _count(rule))
    return True


def _key_rule(schedule: Schedule) -> Rule | None:
    """The unique property that the id column feeds; without one nobody can be looked for."""
    options = schedule.options
    if not options.get("table"):
        return None
    key = schedule.fields.filter(field=options.get("id_column", "")).values_list("rule__key", flat=True).first()
    rule = ruleset.load().by_key.get(key or "")
    return rule if rule is not None and rule.is_unique else None


def _find_missing(schedule: Schedule, rule: Rule, page: Sequence[tuple[str, UUID]]) -> list[UUID]:
    table, column = schedule.options["table"], schedule.options["id_column"]
    ask = ColumnAsk(
        rule=rule.key,
        table=table,
        column=column,
        key_column=column,
        key=rule.key,
        key_type=rule.type,
        aggregation="count",
    )
    with connect(schedule.app_id, reading=True) as app:
        answer = cast("RetrievesProperties", app).retrieve([ask], [{rule.key: rule.parse(value)} for value, _ in page])
    [found] = answer.answers
    if found.error:
        raise PluginError(found.error)
    return [guid for (_, guid), count in zip(page, found.values, strict=True) if not count]


def _with_values(guids: Sequence[UUID], schedule: Schedule) -> list[UUID]:
    """Those who have a value that this App is asked for: the others were emptied before."""
    keys = {rule.key for rule in ruleset.load().rules if rule.app_id == schedule.app_id and _tells(rule)}
    return [guid for guid, person in read_people(guids).items() if keys & person.values.keys()]


def _tells(rule: Rule) -> bool:
    is_counted = rule.retrieval == Retrieval.COLUMN and rule.column.get("aggregation") in _ALWAYS_THERE
    return rule.is_asked and not is_counted


def _count(rule: Rule) -> int:
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from profile_identity where rule_id = %s", [rule.id])
        return int(cursor.fetchone()[0])


def _say(gone: int, schedule: Schedule) -> str:
    subject = "1 person has" if gone == 1 else f"{gone:,} people have"
    return f"{subject} no row in {schedule.options['table']} any more: what came from it is empty now."


def work_of(run: Run) -> Work | None:
    """The looking for deleted rows that goes on after this run, if any."""
    return Work.objects.filter(kind=KIND, subject=str(run.pk), state__in=UNFINISHED).first()


def work_slice() -> bool:
    """Work on one run's deleted rows for a slice; whether it is worth coming back at once."""
    return leases.run_slice(KIND, look)
