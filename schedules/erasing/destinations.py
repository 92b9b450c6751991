"""What destinations hold of someone who is being erased: each is told to remove it, and its answer awaited.

A run of the export does it, so what holds for every run holds here: its lease, calls in parallel, doubt after a kill,
the log. It removes whatever the mode of the export, and no guard stops it; when all sending is stopped or the App is
paused, it waits. The only writer of `ErasureDestination`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from core.accounts import project
from core.accounts.actors import SYSTEM, Actor
from core.lib.errors import NotFound, Refused
from plugins import registry
from plugins.base import ExportsProfiles
from plugins.contracts import SyncMode
from profiles import suppression
from schedules import plans, runs
from schedules.erasing.models import SETTLED, ErasureDestination, Removal
from schedules.models import Direction, ExportRecord, Run, RunState, Schedule

LONGEST_REASON = 500
LOOK_SECONDS = 1.0  # between two looks at what runs or waits
_WAITS = (10, 60, 300, 1800, 3600)  # seconds until a destination that did not remove is asked again
_PROBLEM_LENGTH = 1000


def list_holders(erasure_id: int, profile_ids: Sequence[UUID]) -> None:
    """Owe a removal to every export whose ledger has a row of these profiles, in the caller's transaction."""
    holders = ExportRecord.objects.filter(profile_id__in=profile_ids).values_list("schedule_id", flat=True).distinct()
    schedules = Schedule.objects.select_related("app").filter(pk__in=list(holders))
    ErasureDestination.objects.bulk_create(
        [
            ErasureDestination(erasure_id=erasure_id, schedule_id=each.pk, name=f"{each} ({each.app})")
            for each in schedules
        ],
        ignore_conflicts=True,
    )


def ask_each(erasure_id: int, *, hold: Callable[[], None]) -> float | None:
    """Go on with every destination; the seconds until the next look, None when all have answered.

    `hold` is called first in each transaction, and raises when someone else works on this erasure.
    """
    with transaction.atomic():
        hold()
        list_holders(erasure_id, suppression.profiles_of(erasure_id))
    for destination in ErasureDestination.objects.filter(erasure=erasure_id).exclude(state__in=SETTLED).order_by("pk"):
        with transaction.atomic():
            hold()
            _go_on(destination)
    open_ones = ErasureDestination.objects.filter(erasure=erasure_id).exclude(state__in=SETTLED)
    return LOOK_SECONDS if open_ones.exists() else None


def settle_by_hand(erasure_id: int, destination_id: int, *, reason: str, actor: Actor) -> None:
    """A person says that it is removed. Raises NotFound, or Refused when it has answered already."""
    found = ErasureDestination.objects.select_for_update().filter(pk=destination_id, erasure=erasure_id).first()
    if found is None:
        raise NotFound(gettext("This erasure has no such destination."))
    if found.state in SETTLED:
        raise Refused(gettext("%(found)s has answered already.") % {"found": found})
    _update(found, Removal.BY_HAND, reason=reason, settled_by=actor.cause, answered_at=timezone.now())


def empty_problems(erasure_id: int) -> None:
    """What destinations said may name the person: it goes when the erasure ends."""
    ErasureDestination.objects.filter(erasure=erasure_id).update(problem="")


def _go_on(destination: ErasureDestination) -> None:
    """Look at the run that removes, or start one."""
    schedule = Schedule.objects.select_related("app").filter(pk=destination.schedule_id).first()
    if schedule is None:
        _update(destination, Removal.CANNOT, "The export was deleted meanwhile: remove the person there yourself.")
        return
    run = Run.objects.filter(pk=destination.run_id or 0).first()
    if run is not None:
        if run.state not in runs.UNFINISHED:
            _read_answer(destination, run)
        return
    if destination.next_at is not None and destination.next_at > timezone.now():
        return
    if not _can_remove(schedule):
        _update(
            destination, Removal.CANNOT, f"“{schedule.app}” cannot remove anyone: remove the person there yourself."
        )
    elif project.current().sending_stopped:
        _update(destination, Removal.WAITING, "Sending is stopped: it goes on when an admin starts sending again.")
    else:
        _start(destination, schedule)


def _start(destination: ErasureDestination, schedule: Schedule) -> None:
    options = {plans.ERASE: destination.erasure_id}
    try:
        run = runs.start_run(schedule.pk, trigger="erasure", actor=SYSTEM, options=options, direction=Direction.EXPORT)
    except Refused as refused:  # it runs just now, or its App is paused
        _update(destination, Removal.WAITING, refused.message)
        return
    _update(destination, Removal.ASKED, destination.problem, run_id=run.pk, attempts=destination.attempts + 1)


def _read_answer(destination: ErasureDestination, run: Run) -> None:
    """What became of the run: it removed everything, or it is tried again later by another one."""
    theirs = suppression.profiles_of(destination.erasure_id)
    left = ExportRecord.objects.filter(schedule_id=destination.schedule_id, profile_id__in=theirs).first()
    if left is None and run.state == RunState.COMPLETE:
        _update(destination, Removal.REMOVED, answered_at=run.finished_at)
        return
    wait = _WAITS[min(destination.attempts, len(_WAITS)) - 1]
    problem = (left.error if left is not None else "") or run.error or "It did not answer."
    later = timezone.now() + timedelta(seconds=wait)
    _update(destination, Removal.RETRYING, problem, run_id=None, next_at=later)


def _can_remove(schedule: Schedule) -> bool:
    try:
        kind = registry.get(schedule.app.type)
    except registry.UnknownApp:
        return False
    return issubclass(kind, ExportsProfiles) and SyncMode.SYNC in kind.sync_modes


def _update(destination: ErasureDestination, state: Removal, problem: str = "", **more: object) -> None:
    """Unless a person settled it meanwhile."""
    mine = ErasureDestination.objects.filter(pk=destination.pk).exclude(state__in=SETTLED)
    mine.update(state=state, problem=problem[:_PROBLEM_LENGTH], **more)
