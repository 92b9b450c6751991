"""A month that never was, for pictures of the demo shop: a shop that has just been loaded has no history to draw.

It writes straight into tables that others own, which nothing else here does. Only `manage.py screenshots` calls it, on
an installation that is made for its pictures.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import uuid4

from django.utils import timezone

from core.work.models import Work, WorkState
from events.models import EventTally
from events.tallies import HOUR, floor
from groups.models import Group, GroupMember, GroupSize
from schedules.models import Direction, Run, RunState, Schedule

_DAYS, _RUNS = 30, 29
_TYPES = {"users": 90, "carts": 420, "purchases": 300, "refunds": 40}  # events in a busy hour


def make_runs() -> None:
    """Earlier runs of every schedule, before the first real one: their ids come first."""
    dice, now = random.Random(7), timezone.now()  # noqa: S311  believable, not secret
    for schedule in Schedule.objects.order_by("id"):
        if schedule.runs.exists():
            continue
        apart = timedelta(minutes=schedule.every_minutes or 1440)
        for back in range(_RUNS, 0, -1):
            _make_run(schedule, now - apart * back, dice)


def make_sizes() -> None:
    """How the groups grew to what they are."""
    dice, today = random.Random(11), timezone.localdate()  # noqa: S311  believable, not secret
    for group in Group.objects.all():
        now = GroupMember.objects.filter(group=group).count()
        rows, size = [], float(now)
        for back in range(1, _DAYS + 1):
            size = max(0.0, size - now * dice.uniform(-0.006, 0.017))
            rows.append(GroupSize(group=group, day=today - timedelta(days=back), size=round(size)))
        GroupSize.objects.bulk_create(rows, ignore_conflicts=True)


def make_tallies() -> None:
    """Events of every hour of the month, more of them by day and at the weekend."""
    dice, now = random.Random(5), floor(timezone.now())  # noqa: S311  believable, not secret
    EventTally.objects.bulk_create(_tallies(now, dice), ignore_conflicts=True)


def _tallies(now: datetime, dice: random.Random) -> Iterator[EventTally]:
    for back in range(1, 24 * (_DAYS + 1)):
        hour = now - HOUR * back
        local = timezone.localtime(hour)
        busy = (0.15 if local.hour < 7 else 0.6 if local.hour < 17 else 1.0) * (1.4 if local.weekday() > 4 else 1.0)
        for kind, most in _TYPES.items():
            yield EventTally(hour=hour, type=kind, events=round(most * busy * dice.uniform(0.6, 1.0)))


def _make_run(schedule: Schedule, at: datetime, dice: random.Random) -> None:
    is_import = schedule.direction == Direction.IMPORT
    seconds = dice.uniform(3, 6) if is_import else dice.uniform(18, 30)
    if dice.random() < 0.08:
        seconds *= 2.5
    counters = _import_counters(dice) if is_import else _export_counters(dice)
    ended = at + timedelta(seconds=seconds)
    work = Work.objects.create(
        kind=schedule.direction,
        subject=str(uuid4()),
        state=WorkState.COMPLETE,
        next_at=at,
        started_at=at,
        finished_at=ended,
        done=counters.get("read", counters.get("selected", 0)),
    )
    run = Run.objects.create(
        schedule=schedule,
        direction=schedule.direction,
        work=work,
        state=RunState.COMPLETE,
        trigger="schedule",
        counters=counters,
        started_at=at,
        finished_at=ended,
    )
    Run.objects.filter(pk=run.pk).update(created_at=at)


def _import_counters(dice: random.Random) -> dict[str, int]:
    read = dice.randrange(30, 90)
    return {"read": read, "events": read, "created": dice.randrange(4), "changed": dice.randrange(10, read)}


def _export_counters(dice: random.Random) -> dict[str, int]:
    sent, unchanged, rejected = dice.randrange(40, 160), dice.randrange(1500, 1700), dice.randrange(6)
    return {"selected": sent + unchanged + rejected, "sent": sent, "unchanged": unchanged, "rejected": rejected}
