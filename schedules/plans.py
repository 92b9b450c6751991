"""What a run would send, before anything leaves: the plan of a dry run, or of a run that its guard stopped.

A plan is what the ledger owes with the state "planned", so it costs no table of its own and says exactly what would be
sent. It holds until another run of the schedule begins: that one works out anew what there is to send. Sending exactly
a plan is a run that looks for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils.translation import gettext

from core.accounts import audit
from core.accounts.actors import Actor
from core.lib.errors import NotFound, Refused
from core.lib.json import loads
from core.ui.csv_lines import make_line
from core.work.leases import Lease
from plugins.csv.destination import write_cell
from schedules import ledger, runs, schedules_store
from schedules.differences import Difference, find_differences
from schedules.ledger import Owed
from schedules.models import Direction, Run, RunState, SentKind
from schedules.runs import UNFINISHED

PLAN, EXACT, DISCARDED = "plan", "exact", "discarded"  # options of a run
ERASE = "erase"  # an option of runs that remove someone who is being erased: they change no plan of others
SWITCHES_ON = "switches_on"  # whoever sends this plan switches its schedule on
_HELD = "plan_held"  # a counter of every run that ended with a plan
_STREAMED_AT_ONCE = 2000


# ---------------------------------------------------------------- working it out


def start(schedule_id: int, *, actor: Actor, switches_on: bool = False) -> Run:
    """Start a dry run: a run that works out what it would send, and sends nothing. Raises `Refused` or `NotFound`.

    With `switches_on` the schedule is off until someone sends the plan, which switches it on.
    """
    options = {PLAN: True, **({SWITCHES_ON: True} if switches_on else {})}
    return runs.start_run(schedule_id, trigger=actor.cause, actor=actor, options=options, direction=Direction.EXPORT)


def is_asked(run: Run) -> bool:
    """Whether this run is a dry one."""
    return bool(run.options.get(PLAN))


def is_exact(run: Run) -> bool:
    """Whether this run sends a plan and nothing else."""
    return EXACT in run.options


def finish(lease: Lease, run: Run, owed: Owed, *, objection: str = "") -> None:
    """End a run with its plan instead of sending it, in the transaction that found the last of it."""
    counters = {
        "plan_created": owed.created,
        "plan_updated": owed.updated,
        "plan_removed": owed.removed,
        _HELD: ledger.count_held(run.schedule_id),
    }
    runs.set_counters(run.pk, counters)
    runs.finish(lease, state=RunState.STOPPED if objection else RunState.COMPLETE, error=objection)


# ---------------------------------------------------------------- what it says


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of one run in numbers. `is_current`: nothing has run since, so that it can still be sent."""

    run: Run
    created: int
    updated: int
    removed: int
    held: int
    is_current: bool
    is_discarded: bool

    @property
    def switches_on(self) -> bool:
        """Whether sending it switches the schedule on, which has been off until someone looked."""
        return bool(self.run.options.get(SWITCHES_ON)) and not self.run.schedule.enabled

    @property
    def all(self) -> int:
        """How many people it concerns."""
        return self.created + self.updated + self.removed

    @property
    def afterwards(self) -> int:
        """How many people the destination would hold."""
        return self.held - self.removed + self.created

    @property
    def by_kind(self) -> list[tuple[SentKind, int]]:
        """Each kind with its number, the dangerous first."""
        return [
            (SentKind.REMOVED, self.removed),
            (SentKind.UPDATED, self.updated),
            (SentKind.CREATED, self.created),
        ]


def has_plan(run: Run) -> bool:
    """Whether this run ended with a plan instead of sending it."""
    return _HELD in run.counters


def of_run(run: Run) -> Plan | None:
    """The plan that this run ended with; None when it ended with none."""
    counters = run.counters
    if not has_plan(run):
        return None
    others = Run.objects.filter(schedule_id=run.schedule_id).exclude(options__has_key=ERASE)
    newest = others.order_by("-id").values_list("pk", flat=True).first()
    is_discarded = bool(run.options.get(DISCARDED))
    return Plan(
        run=run,
        created=counters.get("plan_created", 0),
        updated=counters.get("plan_updated", 0),
        removed=counters.get("plan_removed", 0),
        held=counters[_HELD],
        is_current=newest == run.pk and not is_discarded,
        is_discarded=is_discarded,
    )


def find(run_id: int) -> Plan:
    """The plan of a run; raises `NotFound` when there is none."""
    run = Run.objects.select_related("schedule__app", "work").filter(pk=run_id).first()
    plan = of_run(run) if run is not None else None
    if plan is None:
        raise NotFound(gettext("Run %(run_id)s has no plan: start a dry run of an export.") % {"run_id": run_id})
    return plan


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """One person of a plan."""

    profile_id: UUID
    kind: SentKind
    key: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    groups_before: Sequence[str]
    groups_after: Sequence[str]
    since: datetime | None  # when the destination accepted what it holds

    @property
    def differences(self) -> list[Difference]:
        """What would change, field by field; empty when everything is only written once more."""
        return find_differences(self.before, self.after, self.groups_before, self.groups_after)


@dataclass(frozen=True, slots=True)
class PlanPage:
    """Rows of a plan; the next page goes on behind `following` (None: this was the last).

    `is_cut`: only `LOOKED_AT` rows were looked at, and there are more that may fit.
    """

    rows: list[PlannedRow]
    following: UUID | None
    is_cut: bool = False


LOOKED_AT = 20_000  # rows in which something is looked for at once, as no index holds what stands in them
_KIND = "case when owed_key is null then 'removed' when key is null then 'created' else 'updated' end"
_OF_KIND = {
    "": "true",
    "removed": "owed_key is null",  # has an index: few among very many, and the first that people look at
    "created": "owed_key is not null and key is null",
    "updated": "owed_key is not null and key is not null",
}
_PLANNED = "schedule_id = %(schedule)s and next_at is not null and profile_id > %(after)s"
_LOOK_TO = f"select profile_id from export_record where {_PLANNED} order by profile_id offset %(looked_at)s - 1 limit 1"
_ROWS = f"""
    select profile_id, {_KIND}, coalesce(owed_key, key, may_hold #>> '{{{{0,key}}}}', ''), payload, owed_payload,
           group_names, owed_group_names, accepted_at
      from export_record
     where {_PLANNED} and {{kind}} and {{within}}
       and (%(search)s = '' or concat_ws(' ', key, owed_key, payload::text, owed_payload::text) ilike %(pattern)s)
     order by profile_id limit %(limit)s + 1
"""


def read_page(plan: Plan, *, kind: str = "", search: str = "", after: UUID | None = None, limit: int = 50) -> PlanPage:
    """The rows of a current plan in the order of their profiles, behind `after`; those that hold `search` anywhere."""
    escaped = search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    given: dict[str, Any] = {
        "schedule": plan.run.schedule_id,
        "after": after or UUID(int=0),
        "search": search,
        "pattern": f"%{escaped}%",
        "limit": limit,
        "looked_at": LOOKED_AT,
    }
    with connection.cursor() as cursor:
        looked_to = None
        if search or kind in ("created", "updated"):
            cursor.execute(_LOOK_TO, given)
            looked_to = next((row[0] for row in cursor.fetchall()), None)
        within = "profile_id <= %(looked_to)s" if looked_to else "true"
        cursor.execute(_ROWS.format(kind=_OF_KIND[kind], within=within), {**given, "looked_to": looked_to})
        rows = [_read(*row) for row in cursor.fetchall()]
    if len(rows) > limit:
        return PlanPage(rows[:limit], rows[limit - 1].profile_id)
    return PlanPage(rows, looked_to, is_cut=looked_to is not None)


def stream_csv(plan: Plan, *, kind: str = "", search: str = "") -> Iterator[str]:
    """Every row as a CSV: what would be done, to whom, and each field before and after. No formulas."""
    fields = list(plan.run.schedule.fields.order_by("pk").values_list("field", flat=True))
    heads = ["action", "key", "profile", *(f"{name} ({when})" for name in fields for when in ("now", "then"))]
    yield make_line([write_cell(head) for head in [*heads, "groups (now)", "groups (then)"]])
    page = read_page(plan, kind=kind, search=search, limit=_STREAMED_AT_ONCE)
    while True:
        for row in page.rows:
            before, then = row.before or {}, row.after or {}
            values = [value for name in fields for value in (before.get(name), then.get(name))]
            groups = [", ".join(row.groups_before), ", ".join(row.groups_after)]
            yield make_line(map(write_cell, [row.kind.value, row.key, str(row.profile_id), *values, *groups]))
        if page.following is None:
            return
        page = read_page(plan, kind=kind, search=search, after=page.following, limit=_STREAMED_AT_ONCE)


def _read(
    profile_id: UUID,
    kind: str,
    key: str,
    before: str | None,
    after: str | None,
    groups_before: str | None,
    groups_after: str | None,
    since: datetime | None,
) -> PlannedRow:
    return PlannedRow(
        profile_id=profile_id,
        kind=SentKind(kind),
        key=key,
        before=loads(before) if before else None,
        after=loads(after) if after else None,
        groups_before=tuple(loads(groups_before) if groups_before else ()),
        groups_after=tuple(loads(groups_after) if groups_after else ()),
        since=since,
    )


# ---------------------------------------------------------------- deciding on it


def send(run_id: int, *, actor: Actor) -> Run:
    """Start a run that sends exactly the plan of this one, whatever the guard says; raises `Refused` or `NotFound`."""
    with transaction.atomic():
        plan = _lock(run_id)
        if not plan.all:
            raise Refused(gettext("There is nothing to send in this plan."))
        halted = plan.run.schedule.halted_reason
        if halted and halted != plan.run.error:
            raise Refused(
                gettext("“%(schedule)s” is stopped: %(halted)s") % {"schedule": plan.run.schedule, "halted": halted}
            )
        if halted:
            schedules_store.resume(plan.run.schedule_id, actor=actor)
        if plan.switches_on:
            schedules_store.set_enabled(plan.run.schedule_id, True, actor=actor)
        return runs.start_run(
            plan.run.schedule_id,
            trigger=actor.cause,
            actor=actor,
            options={EXACT: run_id},
        )


def discard(run_id: int, *, actor: Actor) -> Plan:
    """Nothing of this plan is sent as it is; the schedule's next run works out anew what there is to send."""
    with transaction.atomic():
        plan = _lock(run_id)
        runs.set_options(run_id, {DISCARDED: True})
        audit.record("run.discard_plan", plan.run, before={"people": plan.all}, actor=actor)
    return plan


def _lock(run_id: int) -> Plan:
    """The plan, while no run of its schedule can begin; raises `Refused` when it is out of date."""
    found = find(run_id)
    runs.lock_schedule(found.run.schedule_id)
    plan = find(run_id)
    if plan.is_discarded:
        raise Refused(gettext("This plan was discarded: start a new dry run."))
    if not plan.is_current or plan.run.state in UNFINISHED:
        raise Refused(gettext("Another run began since this plan was made: start a new dry run."))
    return plan
