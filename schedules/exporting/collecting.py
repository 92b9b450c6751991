"""The first phase of an export run: what changed is compared with the ledger, and what differs is owed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db import transaction

from core.work.leases import Lease
from schedules import again, comparing, cursor, guard, payloads, plans, runs, schedules_store
from schedules.exporting.places import Exporting, Place
from schedules.ledger import owing
from schedules.models import Run
from schedules.runs import FoundError

COMPARED_AT_ONCE = 5000  # profiles of one step of a full comparison


def owe_again(work: Exporting, lease: Lease) -> bool:
    """Owe some of those who are sent again what the destination accepted or refused; to go on at once."""
    with transaction.atomic():
        last, more = again.owe(work.run, after=work.place.again)
        place = replace(work.place, again=last, phase="again" if more else "collect")
        lease.hold(mark=place.write())
    work.place = place
    return True


def collect(work: Exporting, lease: Lease) -> bool:
    """Take some candidates and store what they are owed; whether to go on at once."""
    goes_on = True
    with transaction.atomic():
        payloads.prepare()
        place, looked_at = _take_candidates(work)
        lease.hold(mark=place.write(), done=lease.done + looked_at)
        if looked_at:
            _compare(work)
        if not place.full or place.phase == "send":
            cursor.move(work.plan.schedule_id, mark=place.mark, mapping_version=work.plan.version)
        if place.phase == "send":
            goes_on = _decide(work, lease, place)
    work.place = place
    return goes_on


def _decide(work: Exporting, lease: Lease, place: Place) -> bool:
    """Everything is owed that this run found: whether it is sent now, in the transaction that found the last."""
    owed = owing.sum_up(work.plan.schedule_id)
    _count_owed(work, owed.all)
    if plans.is_asked(work.run):
        plans.finish(lease, work.run, owed)
        return False
    if objection := guard.find_objection(work.run.schedule, owed):
        owing.hold_back(work.plan.schedule_id)
        schedules_store.halt(work.plan.schedule_id, objection)
        plans.finish(lease, work.run, owed, objection=objection)
        return False
    if owed.planned:
        owing.release(work.plan.schedule_id)
    lease.hold(mark=place.write(), done=0, total=owed.all)
    return True


def _take_candidates(work: Exporting) -> tuple[Place, int]:
    if work.place.full:
        after = UUID(work.place.after) if work.place.after else None
        last, count = payloads.add_everyone(work.plan, after=after, limit=COMPARED_AT_ONCE)
        place = replace(work.place, after=str(last) if last else None, phase="collect" if last else "send")
        return place, count
    taken = cursor.take(work.place.mark, until=work.place.until, group_ids=work.plan.group_ids)
    place = replace(
        work.place, mark=taken.mark, until=taken.until, phase="collect" if taken.more else "send", sent_until=None
    )
    return place, taken.rows


def _compare(work: Exporting) -> None:
    if comparing.find_wanted(work.plan):
        owing.hand_over(work.plan.schedule_id)
    found = comparing.decide(work.plan)
    owing.apply_decisions(work.plan.schedule_id, run_id=work.run.pk, is_plan=plans.is_asked(work.run))
    unchanged = found.count("keep", "settle", "drop")
    rejected = found.count("still_rejected", "refuse")
    runs.count(work.run.pk, {"selected": unchanged + rejected, "unchanged": unchanged, "rejected": rejected})
    if found.refused:
        examples: list[dict[str, Any]] = [{"profile": profile, "key": key} for profile, key in found.refused]
        runs.record_errors(work.run.pk, [FoundError(comparing.REFUSED, found.count("refuse"), examples)])


def _count_owed(work: Exporting, owed: int) -> None:
    """Make the run's counters say what is owed, from this run or an earlier one."""
    counters = Run.objects.values_list("counters", flat=True).get(pk=work.run.pk)
    more = owed - counters.get("owed", 0)
    runs.count(work.run.pk, {"selected": more, "owed": more})
