"""The work on an export run: find out what changed, owe the differences, send them.

A run passes through two phases. **collect** reads the change logs from the schedule's cursor on (or, where nothing was
compared yet, goes through everyone), and stores in the ledger what is owed, together with the new mark. **send** takes
owed rows in batches: they are marked as sent in a transaction of their own, then the plugin is called in none, then its
answers are stored. Between the two a dry run ends with its plan, and so does a run that the guard stops; a run that
sends exactly such a plan has the second phase alone. A run that sends **again** owes first what is there already. A run
of an erasure knows one phase, **remove**: it removes that person, whatever the mode, and sends nothing else.
Every transaction holds the run's lease, so a worker may be killed at any moment; what it had sent
and not recorded is in doubt, and is settled before anything else is done.

A destination that is down makes the run wait and then collect again, so that only the newest is ever sent.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, cast
from uuid import UUID, uuid4

from django.db import connection, transaction

from apps_connectors.connections import connect
from apps_connectors.slots import slot
from core.accounts import project
from core.lib.errors import InvalidInput
from core.work import leases
from core.work.leases import Lease, LostLease
from plugins import registry
from plugins.base import ExportsProfiles, ReadsBack
from plugins.contracts import ACCEPTED, Halt, Outcome, OutcomeKind, PluginError, Retry, SyncMode
from schedules import again, comparing, cursor, guard, ledger, payloads, plans, runs, schedules_store, sending
from schedules.answers import Answers
from schedules.ledger import OwedRow
from schedules.models import Direction, Run, RunState
from schedules.payloads import ExportPlan
from schedules.runs import FoundError

log = logging.getLogger(__name__)

COMPARED_AT_ONCE = 5000  # profiles of one step of a full comparison
SLOT_SECONDS = 2 * leases.LEASE_SECONDS  # a call renews the lease, not the slot
MOST_FAILURES = 5  # slices in a row that end in an error of our own before the run has failed
_WAITS = (5, 15, 60, 300)  # seconds, when the destination takes nothing at all
_NO_SLOT_SECONDS = 1.0
_CHANGES_SECONDS = 2
_PLAN_SECONDS = 600  # how long an export that follows changes waits for someone to decide on the plan of a dry run


def work_slice() -> bool:
    """Work on the next export run for one slice; whether it is worth coming back at once."""
    return leases.run_slice(Direction.EXPORT.value, _Worker())


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
    """The exports that should run now though their rhythm does not say so: for retries, or right after a change."""
    if project.current().sending_stopped:
        return []
    with connection.cursor() as database:
        given = {"pause": _CHANGES_SECONDS, "patience": _PLAN_SECONDS, "horizon": cursor.read_horizon()}
        database.execute(_DUE, given)
        return [row[0] for row in database.fetchall()]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a run stands, kept as the mark of its work."""

    run: int
    by: str = ""  # the lease under which what was unanswered before has been settled
    phase: str = "collect"  # again, collect, send, remove
    again: str | None = None  # the last profile of those that are sent again
    exact: bool = False  # a plan is sent, and nothing else is looked for
    backfill: bool = False  # everyone is sent for the first time, or anew
    full: bool = False  # everyone is compared
    mark: int = 0  # how far the logs are taken; of a full comparison: where they will be read from after it
    until: int | None = None  # how far this run reads them
    after: str | None = None  # the last profile of a full comparison
    sent_until: str | None = None  # the due time of the last rows sent
    waits: int = 0  # how often in a row the destination took nothing

    def write(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(slots=True)
class _Worker:
    """The step of one slice. What belongs to the run is read once and kept for the slice."""

    exporting: _Exporting | None = None

    def __call__(self, lease: Lease) -> bool:
        if lease.stop_requested:
            runs.finish(lease, state=RunState.STOPPED)
            return False
        try:
            if self.exporting is None:
                self.exporting = _open(lease)
            return self.exporting.step(lease)
        except (InvalidInput, registry.UnknownApp) as error:
            runs.finish(lease, state=RunState.FAILED, error=str(error))
        except LostLease:
            raise
        except Exception as error:
            if connection.connection is None or connection.connection.closed:
                raise  # our own database is away; the lease brings the run back
            log.exception("run %s could not go on", lease.subject)
            _try_later(lease, f"The export could not go on: {type(error).__name__}: {error}")
        return False


def _try_later(lease: Lease, reason: str) -> None:
    if lease.failures + 1 >= MOST_FAILURES:
        runs.finish(lease, state=RunState.FAILED, error=reason)
    else:
        lease.fail_slice(reason)


def _open(lease: Lease) -> _Exporting:
    run = Run.objects.select_related("schedule__app").get(pk=int(lease.subject))
    kind = registry.get(run.schedule.app.type)
    if not issubclass(kind, ExportsProfiles):
        raise InvalidInput(f"Nothing can be exported to “{run.schedule.app}”.")
    plan = payloads.load_plan(run.schedule)
    goes_on = lease.mark and lease.mark.get("run") == run.pk
    place = _Place(**lease.mark) if goes_on else _begin(lease, run, plan)
    return _Exporting(run, plan, kind, place)


def _start(run: Run, plan: ExportPlan) -> _Place:
    """At the schedule's cursor; at everyone where there is none that holds."""
    mark = cursor.find(plan.schedule_id, mapping_version=plan.version)
    return _Place(run.pk, mark=mark) if mark is not None else _start_anew(run)


def _start_anew(run: Run) -> _Place:
    return _Place(run.pk, full=True, backfill=True, mark=cursor.read_horizon())


def _begin(lease: Lease, run: Run, plan: ExportPlan) -> _Place:
    if plans.ERASE in run.options:
        place = _Place(run.pk, phase="remove", exact=True)
        runs.begin(lease, mark=place.write(), total=None)
        return place
    if plans.is_exact(run):
        place = _Place(run.pk, phase="send", exact=True)
        with transaction.atomic():
            ledger.release(plan.schedule_id)
            owed = ledger.sum_up(plan.schedule_id).all
            runs.begin(lease, mark=place.write(), total=owed)
            runs.count(run.pk, {"selected": owed, "owed": owed})
        return place
    place = _start_anew(run) if again.is_everything(run) else _start(run, plan)
    if again.is_asked(run):
        place = replace(place, phase="again")
    runs.begin(lease, mark=place.write(), total=payloads.count_everyone(plan) if place.full else None)
    return place


@dataclass(slots=True)
class _Exporting:
    """One run for the length of a slice."""

    run: Run
    plan: ExportPlan
    kind: type[ExportsProfiles]
    place: _Place

    def step(self, lease: Lease) -> bool:
        """Do one batch; whether to go on at once."""
        if self.place.by != str(lease.token) and not self._settle(lease):
            return False
        if self.place.phase == "again":
            self._owe_again(lease)
            return True
        if self.place.phase == "remove":
            return self._remove(lease)
        return self._collect(lease) if self.place.phase == "collect" else self._send(lease)

    # ------------------------------------------------------------ doubt

    def _settle(self, lease: Lease) -> bool:
        """Owe again what a worker that died had sent; False to wait, while it may still be answered."""
        unanswered, is_open = ledger.find_unanswered(self.plan.schedule_id)
        if is_open:
            lease.release(delay=5.0)
            return False
        arrived = [] if self.kind.idempotent or not issubclass(self.kind, ReadsBack) else self._read_back(unanswered)
        place = replace(self.place, by=str(lease.token))
        with transaction.atomic():
            lease.hold(mark=place.write())
            for attempt, rows in arrived:
                answers = Answers(rows, [ACCEPTED] * len(rows))
                ledger.record(
                    self.plan.schedule_id, attempt_id=attempt, answers=list(zip(rows, answers.outcomes, strict=True))
                )
                runs.count(self.run.pk, answers.counts if self.place.phase == "send" else {})
            ledger.doubt(self.plan.schedule_id, attempts=unanswered)
            ledger.set_aside(self.plan.schedule_id)
        self.place = place
        return True

    def _read_back(self, unanswered: Sequence[UUID]) -> list[tuple[UUID, list[OwedRow]]]:
        arrived = []
        for attempt in unanswered:
            rows = ledger.read_attempt(self.plan.schedule_id, attempt_id=attempt)
            try:
                with connect(self.plan.app_id) as app:
                    arrived.append((attempt, sending.settle(cast("ReadsBack", app), self.plan.target, rows)))
            except PluginError as error:  # then the doubt stays
                log.warning("run %s could not read back: %s", self.run.pk, error.reason)
        return arrived

    # ------------------------------------------------------------ collecting

    def _owe_again(self, lease: Lease) -> None:
        """Owe some of those who are sent again what the destination accepted or refused."""
        with transaction.atomic():
            last, more = again.owe(self.run, after=self.place.again)
            place = replace(self.place, again=last, phase="again" if more else "collect")
            lease.hold(mark=place.write())
        self.place = place

    def _collect(self, lease: Lease) -> bool:
        """Take some candidates and store what they are owed; whether to go on at once."""
        goes_on = True
        with transaction.atomic():
            payloads.prepare()
            place, looked_at = self._take_candidates()
            lease.hold(mark=place.write(), done=lease.done + looked_at)
            if looked_at:
                self._compare()
            if not place.full or place.phase == "send":
                cursor.move(self.plan.schedule_id, mark=place.mark, mapping_version=self.plan.version)
            if place.phase == "send":
                goes_on = self._decide(lease, place)
        self.place = place
        return goes_on

    def _decide(self, lease: Lease, place: _Place) -> bool:
        """Everything is owed that this run found: whether it is sent now, in the transaction that found the last."""
        owed = ledger.sum_up(self.plan.schedule_id)
        self._count_owed(owed.all)
        if plans.is_asked(self.run):
            plans.finish(lease, self.run, owed)
            return False
        if objection := guard.find_objection(self.run.schedule, owed):
            ledger.hold_back(self.plan.schedule_id)
            schedules_store.halt(self.plan.schedule_id, objection)
            plans.finish(lease, self.run, owed, objection=objection)
            return False
        if owed.planned:
            ledger.release(self.plan.schedule_id)
        lease.hold(mark=place.write(), done=0, total=owed.all)
        return True

    def _take_candidates(self) -> tuple[_Place, int]:
        if self.place.full:
            after = UUID(self.place.after) if self.place.after else None
            last, count = payloads.add_everyone(self.plan, after=after, limit=COMPARED_AT_ONCE)
            place = replace(self.place, after=str(last) if last else None, phase="collect" if last else "send")
            return place, count
        taken = cursor.take(self.place.mark, until=self.place.until, group_ids=self.plan.group_ids)
        place = replace(
            self.place, mark=taken.mark, until=taken.until, phase="collect" if taken.more else "send", sent_until=None
        )
        return place, taken.rows

    def _compare(self) -> None:
        if comparing.find_wanted(self.plan):
            ledger.hand_over(self.plan.schedule_id)
        found = comparing.decide(self.plan)
        ledger.apply_decisions(self.plan.schedule_id, run_id=self.run.pk, is_plan=plans.is_asked(self.run))
        unchanged = found.count("keep", "settle", "drop")
        rejected = found.count("still_rejected", "refuse")
        runs.count(self.run.pk, {"selected": unchanged + rejected, "unchanged": unchanged, "rejected": rejected})
        if found.refused:
            examples: list[dict[str, Any]] = [{"profile": profile, "key": key} for profile, key in found.refused]
            runs.record_errors(self.run.pk, [FoundError(comparing.REFUSED, found.count("refuse"), examples)])

    def _count_owed(self, owed: int) -> None:
        """Make the run's counters say what is owed, from this run or an earlier one."""
        counters = Run.objects.values_list("counters", flat=True).get(pk=self.run.pk)
        more = owed - counters.get("owed", 0)
        runs.count(self.run.pk, {"selected": more, "owed": more})

    # ------------------------------------------------------------ sending

    def _send(self, lease: Lease) -> bool:
        """Send one batch; whether there is more to do at once."""
        if (reason := self._why_stopped()) and ledger.has_due(self.plan.schedule_id):
            runs.finish(lease, state=RunState.STOPPED, error=reason)
            return False
        with slot(self.plan.app_id, SLOT_SECONDS) as is_free:
            if not is_free:
                lease.release(delay=_NO_SLOT_SECONDS)
                return False
            attempt = uuid4()
            with transaction.atomic():
                lease.hold(mark=self.place.write())
                rows = self._claim(attempt)
            answers = Answers(rows, self._call(lease, rows) if rows else [])
        if not rows:
            return self._finish(lease)
        return self._record(lease, attempt, answers)

    def _claim(self, attempt: UUID) -> list[OwedRow]:
        after = datetime.fromisoformat(self.place.sent_until) if self.place.sent_until else None
        rows = self._claim_after(attempt, after)
        return rows if rows or after is None else self._claim_after(attempt, None)

    def _claim_after(self, attempt: UUID, after: datetime | None) -> list[OwedRow]:
        return ledger.claim(
            self.plan.schedule_id, attempt_id=attempt, run_id=self.run.pk, after=after, limit=self.kind.batch_size
        )

    def _call(self, lease: Lease, rows: Sequence[OwedRow], **more: Any) -> list[Outcome]:
        target = replace(self.plan.target, is_backfill=self.place.backfill, **more)
        try:
            with connect(self.plan.app_id) as app:
                return sending.deliver(cast("ExportsProfiles", app), target, rows, between=lease.renew)
        except Halt as error:
            return [Outcome(OutcomeKind.HALT, error.reason)] * len(rows)
        except PluginError as error:
            after = error.after if isinstance(error, Retry) else None
            return [Outcome(OutcomeKind.RETRY, error.reason, after)] * len(rows)

    def _record(self, lease: Lease, attempt: UUID, answers: Answers) -> bool:
        rows, down, halt = answers.rows, answers.down, answers.halt
        place = replace(self.place, waits=0, sent_until=max(row.next_at for row in rows).isoformat())
        if down:
            place = self._wait_and_collect_again()
        with transaction.atomic():
            lease.hold(mark=place.write(), done=lease.done + answers.done)
            pairs = list(zip(rows, answers.outcomes, strict=True))
            ledger.record(self.plan.schedule_id, attempt_id=attempt, answers=pairs, all_wait=bool(down))
            runs.count(self.run.pk, answers.counts)
            runs.record_errors(self.run.pk, answers.errors())
            if halt:
                schedules_store.halt(self.plan.schedule_id, halt)
                runs.finish(lease, state=RunState.FAILED, error=halt)
        self.place = place
        if down:
            lease.release(delay=self._delay(down.after, place.waits))
        return not (halt or down)

    # ------------------------------------------------------------ removing someone who is erased

    def _remove(self, lease: Lease) -> bool:
        """Have some profiles of the erasure removed, and end behind the last; what is not removed the erasure tries
        again by another run, so that this one holds up nothing.
        """
        if reason := self._why_stopped():
            runs.finish(lease, state=RunState.STOPPED, error=reason)
            return False
        with slot(self.plan.app_id, SLOT_SECONDS) as is_free:
            if not is_free:
                lease.release(delay=_NO_SLOT_SECONDS)
                return False
            attempt = uuid4()
            with transaction.atomic():
                lease.hold(mark=self.place.write())
                rows = ledger.claim_erased(
                    self.plan.schedule_id,
                    erasure_id=self.run.options[plans.ERASE],
                    attempt_id=attempt,
                    run_id=self.run.pk,
                    limit=self.kind.batch_size,
                )
            answers = Answers(rows, self._call(lease, rows, mode=SyncMode.SYNC) if rows else [])
        return self._record_removals(lease, attempt, answers) if rows else self._finish(lease)

    def _record_removals(self, lease: Lease, attempt: UUID, answers: Answers) -> bool:
        rows, halt = answers.rows, answers.halt
        with transaction.atomic():
            lease.hold(mark=self.place.write(), done=lease.done + len(rows))
            pairs = list(zip(rows, answers.outcomes, strict=True))
            ledger.record(self.plan.schedule_id, attempt_id=attempt, answers=pairs)
            ledger.set_aside(self.plan.schedule_id)
            runs.count(self.run.pk, {"selected": len(rows), "owed": len(rows)})
            runs.count(self.run.pk, answers.counts)
            if halt:
                schedules_store.halt(self.plan.schedule_id, halt)
                runs.finish(lease, state=RunState.FAILED, error=halt)
        return not halt

    def _wait_and_collect_again(self) -> _Place:
        place, waits = self.place, self.place.waits + 1
        if place.exact:
            return replace(place, sent_until=None, waits=waits)
        return replace(_start(self.run, self.plan), by=place.by, backfill=place.backfill, waits=waits)

    def _delay(self, after: float | None, waits: int) -> float:
        if after is not None:
            return after
        return _WAITS[min(waits, len(_WAITS)) - 1] * random.uniform(0.75, 1.25)  # noqa: S311  not a secret

    def _why_stopped(self) -> str:
        if project.current().sending_stopped:
            return f"Sending is stopped: {project.current().sending_stopped_reason or 'resume it in the settings'}"
        app = self.run.schedule.app
        app.refresh_from_db(fields=["paused_at"])
        return f"The App “{app}” is paused: resume it first." if app.paused_at else ""

    # ------------------------------------------------------------ the end

    def _finish(self, lease: Lease) -> bool:
        """Let the destination publish what was written, and end the run. What is owed for later stays owed."""
        try:
            if self._has_written():
                lease.renew()
                with connect(self.plan.app_id) as app:
                    cast("ExportsProfiles", app).finish(self.plan.target)
        except Retry as error:
            place = self._wait_and_collect_again()
            with transaction.atomic():
                lease.hold(mark=place.write())
                runs.record_errors(self.run.pk, [FoundError(error.reason, 1)])
            lease.release(delay=self._delay(error.after, place.waits))
            return False
        except PluginError as error:
            with transaction.atomic():
                schedules_store.halt(self.plan.schedule_id, error.reason)
                runs.finish(lease, state=RunState.FAILED, error=error.reason)
            return False
        runs.finish(lease, state=RunState.COMPLETE)
        return False

    def _has_written(self) -> bool:
        """Whether anything was sent that may not be published yet: by this run, or by one that did not complete.

        After a change of the mapping what is published may change with nothing sent: the file of an empty group goes.
        """
        if self.place.full:
            return True
        counters = Run.objects.values_list("counters", flat=True).get(pk=self.run.pk)
        earlier = Run.objects.filter(schedule=self.run.schedule_id, pk__lt=self.run.pk).order_by("-pk")
        last = earlier.values_list("state", flat=True).first()
        return bool(counters.get("sent")) or last not in {None, RunState.COMPLETE}
