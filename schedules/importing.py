"""The work on an import run: page after page from the App, each taken as one batch by the pipeline.

A page is read in no transaction; its events, the run's counters, errors and mark, and the schedule's high-water mark
are then written in the one transaction of the pipeline, fenced by the run's lease. So a worker may be killed at any
moment: the next one goes on from the last page that was taken.

A run begins at the schedule's high-water mark, moved back by the lookback, because a row may be committed after a later
one. Rows that an earlier run took unchanged are known by their message id and make no event.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, cast

from django.db import DatabaseError, connection, transaction

from apps_connectors.connections import connect
from core.lib.clock import from_us
from core.lib.errors import InvalidInput
from core.work import leases
from core.work.leases import Lease, LostLease
from events.envelope import InboundEvent
from pipeline.items import BatchResult
from pipeline.process import Contended, Prepared, prepare, process
from plugins.base import ImportsRecords
from plugins.contracts import Mark, Page, PluginError, RecordSource, Retry
from profiles import hydration, ruleset
from schedules import runs, uploads
from schedules.checking import source_of
from schedules.models import Direction, Run, RunState
from schedules.pages_taken import TakenPage
from schedules.row_plans import make_plan
from schedules.rows import RowPlan, build_events

log = logging.getLogger(__name__)

PAGE_SIZE = 2000  # rows; a twentieth less of the time than 1,000, of which each costs some forty statements
LOOKBACK_SECONDS = 600
MOST_FAILURES = 5  # slices in a row that end in an error before the run has failed
_AT_FAULT = ("22", "23", "54")  # SQLSTATE classes that mean the data: it is no use to try the same again


def work_slice() -> bool:
    """Work on the next import run for one slice; whether it is worth coming back at once.

    While a page is being written, the next one is read and prepared in a thread: the database and this process work
    at the same time.
    """
    with ThreadPoolExecutor(max_workers=1) as ahead:
        try:
            return leases.run_slice(Direction.IMPORT.value, _Worker(ahead))
        finally:
            ahead.submit(_close_connection)


def _close_connection() -> None:
    """Close the connection of the thread that runs this."""
    connection.close()


@dataclass(slots=True)
class _Place:
    """Where a run stands: the mark behind its last page, and how many rows came before. Kept as the work's mark."""

    after: Mark | None
    number: int
    version: int  # of the schedule's mapping, as the run began

    @classmethod
    def read(cls, stored: Any) -> _Place | None:
        if not stored:
            return None
        return cls(Mark(**stored["after"]) if stored["after"] else None, stored["number"], stored["version"])

    def write(self, *, run_id: int) -> dict[str, Any]:
        return {**asdict(self), "run": run_id}


@dataclass(slots=True)
class _Worker:
    """The step of one slice. What belongs to the run is read once and kept for the slice."""

    ahead: Executor
    reading: _Reading | None = None

    def __call__(self, lease: Lease) -> bool:
        if lease.stop_requested:
            runs.finish(lease, state=RunState.STOPPED)
            return False
        try:
            if self.reading is None:
                self.reading = _open(lease, ahead=self.ahead)
            return self.reading.take_page(lease)
        except Retry as error:
            _try_later(lease, error.reason, after=error.after)
        except (PluginError, InvalidInput) as error:  # Halt, Reject: trying again would not help
            runs.finish(lease, state=RunState.FAILED, error=str(error))
        except Contended:
            lease.release(delay=1.0)
        except LostLease:
            raise
        except Exception as error:
            if connection.connection is None or connection.connection.closed:
                raise  # our own database is away; the lease brings the run back
            log.exception("run %s could not take a page", lease.subject)
            _try_later(lease, f"A page could not be taken: {type(error).__name__}: {_first_line(error)}", after=None)
        return False


def _try_later(lease: Lease, reason: str, *, after: float | None) -> None:
    """What was taken stays. A time that the source asked for is kept to and counts as no failure."""
    if after is not None:
        lease.release(delay=after)
    elif lease.failures + 1 >= MOST_FAILURES:
        runs.finish(lease, state=RunState.FAILED, error=f"{reason} (tried {MOST_FAILURES} times)")
    else:
        lease.fail_slice(reason)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def _is_data_at_fault(error: DatabaseError) -> bool:
    return str(getattr(error.__cause__, "pgcode", None) or "").startswith(_AT_FAULT)


# ---------------------------------------------------------------- beginning


def _open(lease: Lease, *, ahead: Executor) -> _Reading:
    run = Run.objects.select_related("schedule__app").get(pk=int(lease.subject))
    source = source_of(run.schedule.options, upload=run.options.get("path", "") or uploads.fetch_file(run, lease))
    place = _Place.read(lease.mark)
    if place is None or lease.mark["run"] != run.pk:
        place = _begin(lease, run, source, earlier=place)
    return _Reading(run, source, place, ahead)


def _begin(lease: Lease, run: Run, source: RecordSource, *, earlier: _Place | None) -> _Place:
    """Find where the run starts and how much there is. A retried run goes on where the earlier one was."""
    schedule = run.schedule
    goes_on = earlier is not None and earlier.version == schedule.mapping_version
    with connect(schedule.app_id, reading=True) as app:
        importer = cast("ImportsRecords", app)
        after = earlier.after if earlier is not None and goes_on else _start(importer, source, run)
        total = importer.count(source, after=after)
    place = _Place(after, 0, schedule.mapping_version)
    runs.begin(lease, mark=place.write(run_id=run.pk), total=total)
    return place


def _start(importer: ImportsRecords, source: RecordSource, run: Run) -> Mark | None:
    """The high-water mark, moved back by the lookback, and further if rows had times in the future then.

    Of files it stays where it is: who changes one gives it a later time.
    """
    high_water = run.schedule.high_water_mark
    if not high_water or "path" in run.options:
        return None
    if source.path:
        return Mark(changed=high_water["changed"], id=high_water["id"], offset=high_water.get("offset"))
    lookback = float(run.schedule.options.get("lookback", LOOKBACK_SECONDS))
    if high_water["at"]:
        ahead = datetime.fromisoformat(high_water["at"]) - datetime.fromisoformat(high_water["read_at"])
        lookback += max(0.0, ahead.total_seconds())
    return importer.rewind(Mark(changed=high_water["changed"], id=high_water["id"]), lookback=lookback)


# ---------------------------------------------------------------- page after page


@dataclass(frozen=True, slots=True)
class _Claim:
    """The fence of one page: the lease moves on to the place behind it."""

    lease: Lease
    mark: dict[str, Any]
    done: int
    total: int | None

    def hold(self, _: BatchResult) -> None:
        self.lease.hold(mark=self.mark, done=self.done, total=self.total)


@dataclass(frozen=True, slots=True)
class _NextPage:
    """A page that was read, built and prepared, but not written. `behind` is the place that its writing moves to."""

    events: Sequence[InboundEvent]
    taken: TakenPage
    behind: _Place
    prepared: Prepared | None


@dataclass(slots=True)
class _Reading:
    """A run that is being worked on. `coming` is the page that the thread works on."""

    run: Run
    source: RecordSource
    place: _Place
    ahead: Executor
    plan: RowPlan | None = None
    plan_version: int = 0
    coming: Future[_NextPage] | None = None

    def take_page(self, lease: Lease) -> bool:
        """Take the next page; whether there is another. The run is complete with its last page."""
        following = self.coming.result() if self.coming is not None else self._prepare_page(self.place)
        page = following.taken.page
        self.coming = self.ahead.submit(self._prepare_page, following.behind) if page.more else None
        self._take(lease, following.events, following.taken, following.behind, prepared=following.prepared)
        self.place = following.behind
        return page.more

    def _prepare_page(self, place: _Place) -> _NextPage:
        """Everything about the page behind `place` that writes nothing; may run while the page before is written."""
        read_at = from_us(hydration.database_now_us())
        page = self._read(after=place.after)
        plan = self._plan_for(page)
        built = build_events(page, plan, read_at=read_at, number=place.number)
        notes = [
            *page.notes,
            *(f"Characters that cannot be stored were replaced in {name}." for name in built.repaired),
        ]
        taken = TakenPage(self.run, self.source, plan, page, read_at, tuple(notes))
        behind = replace(place, after=page.mark, number=place.number + len(page.rows))
        return _NextPage(built.events, taken, behind, prepare(built.events) if built.events else None)

    def _read(self, *, after: Mark | None) -> Page:
        with connect(self.run.schedule.app_id, reading=True) as app:
            page = cast("ImportsRecords", app).read_page(self.source, after=after, limit=PAGE_SIZE)
        if page.more and page.mark == after:
            raise Retry("The source says that there is more, but gave nothing new.")
        return page

    def _take(
        self,
        lease: Lease,
        events: Sequence[InboundEvent],
        taken: TakenPage,
        behind: _Place,
        *,
        prepared: Prepared | None = None,
    ) -> None:
        claim = self._claim(lease, behind, taken.page)
        try:
            if events:
                also = partial(taken.write, lease, events, is_end=True)
                process(events, claim=claim, also=also, prepared=prepared)
            else:
                with transaction.atomic():
                    claim.hold(BatchResult())
                    taken.write(lease, events, BatchResult(), is_end=True)
        except DatabaseError as error:
            if not events or not _is_data_at_fault(error):
                raise
            self._take_apart(lease, events, taken)
            self._take(lease, [], taken, behind)

    def _take_apart(self, lease: Lease, events: Sequence[InboundEvent], taken: TakenPage) -> None:
        """Halve a page that the database refuses until the rows at fault are alone; the place moves on afterwards.

        Taking a half twice, after a kill in between, makes no event: its messages are known.
        """
        stay = self._claim(lease, self.place, None)
        middle = len(events) // 2
        for part in (events[:middle], events[middle:]):
            try:
                if part:
                    process(part, claim=stay, also=partial(taken.write, lease, part))
            except DatabaseError as error:
                if not _is_data_at_fault(error):
                    raise
                if len(part) > 1:
                    self._take_apart(lease, part, taken)
                    continue
                with transaction.atomic():
                    stay.hold(BatchResult())
                    taken.refuse(part[0], _first_line(error))

    def _claim(self, lease: Lease, place: _Place, page: Page | None) -> _Claim:
        done = lease.done if page is None else place.number
        if page is not None and page.done_bytes is not None:
            done = page.done_bytes
        total = max(lease.total, done) if lease.total is not None else None
        return _Claim(lease, place.write(run_id=self.run.pk), done, total)

    def _plan_for(self, page: Page) -> RowPlan:
        rules = ruleset.load()
        if self.plan is None or self.plan_version != rules.version:
            self.plan, self.plan_version = make_plan(self.run, page, rules), rules.version
        return self.plan
