"""Runs: start, stop, retry, count, end. The only writer of `Run` and `RunError`.

A Run's state and that of its Work move in one transaction. A run's work has the direction as its kind ("import",
"export") and the run's id as its subject. Whoever works on a run holds its lease; `count`, `record_errors` and
`finish` are called in the transaction in which the lease was held.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext
from psycopg2.extras import execute_values

from core.accounts import audit
from core.accounts.actors import SYSTEM, Actor
from core.lib.errors import NotFound, Refused
from core.lib.json import dumps
from core.lib.mentions import Mentions
from core.work import leases
from core.work.leases import Lease
from core.work.models import WorkState
from core.work.wake import wake
from profiles import suppression
from schedules import outcomes, schedules_store
from schedules.models import Direction, Run, RunError, RunState, Schedule

UNFINISHED = (RunState.PENDING, RunState.RUNNING)
MOST_EXAMPLES = 5
MOST_MESSAGES = 100  # kinds of errors told apart in one run
OTHER_MESSAGES = "Other errors"
_MESSAGE_LENGTH = 500
log = logging.getLogger(__name__)

_TOPICS = {Direction.IMPORT: "imports", Direction.EXPORT: "exports"}


@dataclass(slots=True)
class FoundError:
    """Errors of one kind: a sentence without the values in it, how often, and a few examples (JSON objects)."""

    message: str
    count: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)


def group_errors(found: Iterable[tuple[str, dict[str, Any]]]) -> list[FoundError]:
    """Put (message, example) pairs together by message, keeping the first few examples of each."""
    groups: dict[str, FoundError] = {}
    for message, example in found:
        message = message[:_MESSAGE_LENGTH]
        group = groups.setdefault(message, FoundError(message))
        group.count += 1
        if len(group.examples) < MOST_EXAMPLES:
            group.examples.append(example)
    return list(groups.values())


# ---------------------------------------------------------------- starting and ending


def start_run(
    schedule_id: int,
    *,
    trigger: str,
    actor: Actor,
    options: Mapping[str, Any] | None = None,
    mark: Any = None,
    direction: Direction | None = None,
) -> Run:
    """Start a run of a schedule; raises `Refused` while another one of it is unfinished, or its App is paused.

    `direction` is what the schedule has to be, where only one of the two can be meant.

    `trigger` says what started it: "schedule", "change", "upload", or the actor's cause such as "person:3". `mark` is
    where its work begins, in the words of its direction.
    """
    with transaction.atomic():
        schedule = lock_schedule(schedule_id)
        if direction is not None and schedule.direction != direction:
            raise Refused(
                gettext("“%(schedule)s” is an %(direction)s: only an %(wanted)s can do this.")
                % {"schedule": schedule, "direction": schedule.direction, "wanted": direction.value}
            )
        if schedule.app.paused_at is not None:
            raise Refused(gettext("The App “%(app)s” is paused: resume it first.") % {"app": schedule.app})
        running = Run.objects.filter(schedule=schedule, state__in=UNFINISHED).values_list("pk", flat=True).first()
        if running is not None:
            raise Refused(
                gettext("Run %(running)s of “%(schedule)s” is not finished yet: wait for its end, or stop it.")
                % {"running": running, "schedule": schedule}
            )
        run_id = _next_id()
        run = Run.objects.create(
            pk=run_id,
            schedule=schedule,
            direction=schedule.direction,
            work=leases.enqueue(kind=schedule.direction, subject=str(run_id), mark=mark),
            trigger=trigger,
            options=dict(options or {}),
        )
        if actor.kind != "system":
            audit.record("run.start", run, after={"schedule": schedule.name, "trigger": trigger}, actor=actor)
        wake(_TOPICS[Direction(schedule.direction)])
    return run


def start_due() -> int:
    """Start a run of every schedule whose time has come; how many were started. Any number of workers may call it."""
    now = timezone.now()
    started = 0
    for schedule in schedules_store.find_due(now):
        try:
            with transaction.atomic():
                if schedules_store.take_due(schedule, now):
                    start_run(schedule.pk, trigger="schedule", actor=SYSTEM)
                    started += 1
        except Refused as refused:  # someone started it by hand, or paused its App, a moment ago
            log.info("%s", refused.message)
    return started


def start_each(schedule_ids: Iterable[int], *, trigger: str) -> int:
    """Start a run of each of these schedules that has none unfinished; how many were started."""
    started = 0
    for schedule_id in schedule_ids:
        try:
            start_run(schedule_id, trigger=trigger, actor=SYSTEM)
            started += 1
        except (Refused, NotFound) as reason:  # it was started, paused or deleted a moment ago
            log.info("%s", reason.message)
    return started


def stop_run(run_id: int, *, actor: Actor) -> None:
    """Ask for a stop; whoever works on the run sees it at the next page or batch. What was done stays."""
    run = _find(run_id)
    with transaction.atomic():
        if not leases.request_stop(run.work_id):
            raise Refused(gettext("Run %(run_id)s has ended already.") % {"run_id": run_id})
        audit.record("run.stop", run, actor=actor)
        wake(_TOPICS[Direction(run.direction)])


def retry_run(run_id: int, *, actor: Actor) -> Run:
    """Start a new run that goes on where a failed or stopped one was."""
    run = _find(run_id)
    if run.state not in {RunState.FAILED, RunState.STOPPED}:
        raise Refused(
            gettext("Run %(run_id)s is %(get_state_display)s: only failed or stopped runs can be retried.")
            % {"run_id": run_id, "get_state_display": run.get_state_display().lower()}
        )
    options = {**run.options, "retry_of": run.pk}
    return start_run(run.schedule_id, trigger=actor.cause, actor=actor, options=options, mark=run.work.mark)


def begin(lease: Lease, *, mark: Any, total: int | None) -> None:
    """The work on a run begins: it is running from now on. In a transaction of its own; raises LostLease."""
    with transaction.atomic():
        lease.hold(mark=mark, done=0, total=total)
        Run.objects.filter(pk=int(lease.subject), state=RunState.PENDING).update(
            state=RunState.RUNNING, started_at=Now()
        )


def keep_file(lease: Lease, run: Run, *, path: str, name: str) -> None:
    """The run reads this file of the upload folder. In a transaction of its own; raises LostLease."""
    run.options = {**run.options, "path": path, "file": name[:200]}
    with transaction.atomic():
        lease.hold(mark=lease.mark)
        run.save(update_fields=["options"])


def set_options(run_id: int, options: Mapping[str, Any]) -> None:
    """Add to what is said of a run."""
    with connection.cursor() as cursor:
        cursor.execute("update run set options = options || %s::jsonb where id = %s", [dumps(dict(options)), run_id])


def finish(lease: Lease, *, state: RunState, error: str = "") -> None:
    """End a run and its work together. Raises LostLease when someone else works on it."""
    with transaction.atomic():
        lease.finish(state=WorkState(state.value), error=error)
        mine = Run.objects.filter(pk=int(lease.subject))
        if mine.filter(state__in=UNFINISHED).update(state=state, error=error, finished_at=Now()):
            outcomes.tell(mine.select_related("schedule").get())


# ---------------------------------------------------------------- counting


def count(run_id: int, counters: Mapping[str, int], *, notes: Sequence[str] = ()) -> None:
    """Add to the run's counters, and keep each note once. One statement."""
    added = {key: number for key, number in counters.items() if number}
    if not added and not notes:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "update run set counters = counters || coalesce((select jsonb_object_agg(a.key,"
            " coalesce((counters ->> a.key)::bigint, 0) + a.value::bigint) from jsonb_each_text(%s::jsonb) a), '{}'),"
            " notes = notes || coalesce((select jsonb_agg(n.value) from jsonb_array_elements(%s::jsonb) n"
            " where not notes @> jsonb_build_array(n.value)), '[]') where id = %s",
            [dumps(added), dumps(list(dict.fromkeys(notes))), run_id],
        )


def set_counters(run_id: int, counters: Mapping[str, int]) -> None:
    """Set counters to what they are now, leaving the others alone."""
    with connection.cursor() as cursor:
        cursor.execute("update run set counters = counters || %s::jsonb where id = %s", [dumps(dict(counters)), run_id])


def record_errors(run_id: int, found: Sequence[FoundError]) -> None:
    """Add errors to those of the run with the same message; at most five examples of each are kept."""
    if not found:
        return
    known = set(RunError.objects.filter(run_id=run_id).values_list("message", flat=True))
    merged: dict[str, FoundError] = {}
    for group in found:
        message = group.message[:_MESSAGE_LENGTH]
        if message not in known and len(known) >= MOST_MESSAGES:
            message = OTHER_MESSAGES
        known.add(message)
        into = merged.setdefault(message, FoundError(message))
        into.count += group.count
        into.examples = (into.examples + group.examples)[:MOST_EXAMPLES]
    rows = [(run_id, group.message, group.count, dumps(group.examples)) for group in merged.values()]
    with connection.cursor() as cursor:
        execute_values(
            cursor.cursor,
            "insert into run_error (run_id, message, count, examples) values %s on conflict (run_id, message) do update"
            " set count = run_error.count + excluded.count, examples = coalesce((select jsonb_agg(e.value order by e.n)"
            " from jsonb_array_elements(run_error.examples || excluded.examples) with ordinality e(value, n)"
            f" where e.n <= {MOST_EXAMPLES}), '[]')",
            rows,
            template="(%s, %s, %s, %s::jsonb)",
            page_size=len(rows),
        )


def has_rejects(run_id: int) -> bool:
    """Whether something in what the run read did not go through, or found nobody."""
    errors = RunError.objects.filter(run=OuterRef("pk")).exclude(message=suppression.ERASED)
    return Run.objects.filter(Exists(errors) | Q(counters__unlinked__gt=0), pk=run_id).exists()


# ---------------------------------------------------------------- erasing a person

_UNTELL = """
    update run
       set error = case when error ilike any(%(patterns)s) then %(said)s else error end,
           notes = case when notes::text ilike any(%(patterns)s) then '[]' else notes end,
           options = case when options::text ilike any(%(patterns)s) and jsonb_exists(options, 'again')
                          then jsonb_set(options, '{again,profiles}', '[]') else options end
     where id > %(after)s and id <= %(last)s and concat(error, notes, options) ilike any(%(patterns)s)
"""
_UNTELL_EXAMPLES = """
    with named as materialized (
        select e.id, jsonb_agg(x.value) filter (where not t.is_theirs) as kept, bool_or(t.is_theirs) as any
          from run_error e cross join lateral jsonb_array_elements(e.examples) x
         cross join lateral (
               select x.value::text ilike any(%(patterns)s)
                      or jsonb_typeof(x.value) = 'object' and exists (
                          select from jsonb_each_text(case jsonb_typeof(x.value) when 'object' then x.value end) f
                           where lower(f.value) = any(%(values)s)) as is_theirs) t
         where e.run_id > %(after)s and e.run_id <= %(last)s
         group by e.id
    )
    update run_error e set examples = coalesce(named.kept, '[]') from named where named.any and e.id = named.id
"""
_UNTOLD = "What stood here named a person who was erased."


def untell(mentions: Mentions, *, after: int, limit: int) -> tuple[int | None, int]:
    """Take what names a person out of errors, notes and options of the next `limit` runs, in the caller's transaction.

    The last of these runs (None: there are no more), and how many rows were changed.
    """
    with connection.cursor() as cursor:
        cursor.execute("select max(id) from (select id from run where id > %s order by id limit %s) p", [after, limit])
        last = cursor.fetchone()[0]
        if last is None:
            return None, 0
        given = {**mentions.parameters(), "after": after, "last": last, "said": _UNTOLD}
        cursor.execute(_UNTELL, given)
        changed = int(cursor.rowcount)
        cursor.execute(_UNTELL_EXAMPLES, given)
        return int(last), changed + int(cursor.rowcount)


# ---------------------------------------------------------------- inside


def lock_schedule(schedule_id: int) -> Schedule:
    """Starting a run and changing its schedule exclude each other by this row."""
    found = Schedule.objects.select_related("app").select_for_update(of=("self",), no_key=True)
    schedule = found.filter(pk=schedule_id).first()
    if schedule is None:
        raise NotFound(gettext("There is no schedule %(schedule_id)s.") % {"schedule_id": schedule_id})
    return schedule


def _find(run_id: int) -> Run:
    run = Run.objects.select_related("schedule", "work").filter(pk=run_id).first()
    if run is None:
        raise NotFound(gettext("There is no run %(run_id)s.") % {"run_id": run_id})
    return run


def _next_id() -> int:
    with connection.cursor() as cursor:
        cursor.execute("select nextval(pg_get_serial_sequence('run', 'id'))")
        return int(cursor.fetchone()[0])
