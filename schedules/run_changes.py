"""What an import run changed, and taking that back: a preview first, then page after page in the background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from core.accounts import audit
from core.accounts.actors import Actor
from core.lib import uuid7
from core.lib.errors import NotFound, Refused
from core.ui import notices
from core.ui.notices import News
from core.work import leases
from core.work.leases import Lease
from core.work.models import UNFINISHED, Work, WorkState
from core.work.wake import wake
from pipeline import reverting
from pipeline.reverting import RulesChanged, Value
from schedules import runs
from schedules.models import Direction, Run

KIND = "revert"
PAGE = 500  # rows of the change log that are looked at in one transaction
_SHOWN = 50  # profiles that a preview looks at
_MARGIN = timedelta(minutes=10)

_XIDS = """
select distinct xid from event where id >= %s and id <= %s and source_kind = 'run' and source_id = %s order by xid
"""
_PAGE_OF_LOG = """
select coalesce(max(id), 0), array_agg(distinct profile_id) from (
    select id, profile_id from profile_change where xid = any(%s) and id > %s order by id limit %s) page
"""
_BY_KEY = """
select k.key, count(*) from profile_change c cross join lateral jsonb_object_keys(c.changes) k(key)
 where c.xid = any(%s) and k.key not like '\\_%%' group by k.key order by 2 desc, 1
"""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run wrote: how many values by property, and what would become of those of the first profiles."""

    by_key: Sequence[tuple[str, int]]
    profiles: int
    values: Sequence[Value]

    @property
    def goes_back(self) -> int:
        """How many of the shown values would go back."""
        return sum(not value.why_not for value in self.values)


def preview(run: Run) -> Preview:
    """What the run changed, and what taking it back would do. Nothing is written."""
    xids = find_xids(run)
    with connection.cursor() as cursor:
        cursor.execute(_BY_KEY, [xids])
        by_key = [(key, int(count)) for key, count in cursor.fetchall()]
        cursor.execute("select count(distinct profile_id) from profile_change where xid = any(%s)", [xids])
        [(profiles,)] = cursor.fetchall()
    _, first = _page(xids, after=0, limit=_SHOWN)
    return Preview(by_key, int(profiles), reverting.preview(first, xids) if first else [])


def revert_run(run_id: int, *, actor: Actor) -> Work:
    """Take back what a finished import run wrote, in the background. Raises NotFound or Refused."""
    with transaction.atomic():
        run = Run.objects.select_for_update(no_key=True, of=("self",)).filter(pk=run_id).first()
        if run is None or run.direction != Direction.IMPORT:
            raise NotFound(gettext("There is no import run %(run_id)s.") % {"run_id": run_id})
        if run.state in runs.UNFINISHED:
            raise Refused(gettext("The run is not finished yet: stop it first."))
        if work_of(run) is not None:
            raise Refused(gettext("What this run changed was taken back already, or is being taken back."))
        xids = find_xids(run)
        mark = {"after": 0, "back": 0, "xids": xids, "cause": actor.cause}
        work = leases.enqueue(kind=KIND, subject=str(run.pk), mark=mark, total=_count(xids))
        audit.record("run.revert", run, after={"schedule": run.schedule.name}, actor=actor)
        wake(KIND)
    return work


def work_of(run: Run) -> Work | None:
    """The work that takes a run back or took it back; one that was stopped or failed may be begun again."""
    return Work.objects.filter(kind=KIND, subject=str(run.pk), state__in=[*UNFINISHED, WorkState.COMPLETE]).first()


def revert_page(lease: Lease) -> bool:
    """One page of one run; whether there is more."""
    mark = lease.mark
    if lease.stop_requested:
        lease.finish(state=WorkState.STOPPED)
        return False
    with transaction.atomic():
        last, profile_ids = _page(mark["xids"], after=mark["after"], limit=PAGE)
        if not profile_ids:
            lease.finish()
            runs.count(int(lease.subject), {"taken_back": mark["back"]}, notes=[_say(mark["back"])])
            page = reverse("runs:changes", args=[lease.subject])
            news = News("ok", f"What run {lease.subject} wrote was taken back", page, _say(mark["back"]))
            notices.tell(mark["cause"], f"revert:{lease.subject}", news)
            return False
        try:
            back = reverting.take_back(profile_ids, mark["xids"], cause=mark["cause"])
        except RulesChanged:
            lease.release(delay=1.0)
            return False
        lease.hold(mark={**mark, "after": last, "back": mark["back"] + back}, done=lease.done + PAGE)
    return True


def work_slice() -> bool:
    """Work on one run for a slice; whether it is worth coming back at once."""
    return leases.run_slice(KIND, revert_page)


def find_xids(run: Run) -> list[int]:
    """The numbers of the transactions in which a run's pages were taken: nothing else was written in them."""
    began = (run.started_at or run.created_at) - _MARGIN
    ended = (run.finished_at or timezone.now()) + _MARGIN
    with connection.cursor() as cursor:
        cursor.execute(_XIDS, [uuid7.lowest(began), uuid7.lowest(ended), run.pk])
        return [row[0] for row in cursor.fetchall()]


def _page(xids: Sequence[int], *, after: int, limit: int) -> tuple[int, list[UUID]]:
    with connection.cursor() as cursor:
        cursor.execute(_PAGE_OF_LOG, [list(xids), after, limit])
        last, profile_ids = cursor.fetchone()
    return int(last), sorted(profile_ids or [])


def _count(xids: Sequence[int]) -> int:
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from profile_change where xid = any(%s)", [list(xids)])
        return int(cursor.fetchone()[0])


def _say(count: int) -> str:
    return f"{count:,} {'value was' if count == 1 else 'values were'} taken back to what they were before this run."
