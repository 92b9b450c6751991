"""What pages show of the log of what was sent. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext_lazy

from profiles.merges import all_ids
from schedules import sent_log
from schedules.differences import Difference, find_differences
from schedules.models import Schedule, SentLog

_LOOKS = {
    "accepted": ("ok", gettext_lazy("Accepted")),
    "reject": ("bad", gettext_lazy("Rejected")),
    "retry": ("wait", gettext_lazy("To be tried again")),
}
_HALTED = ("wait", gettext_lazy("Stopped the export"))


@dataclass(frozen=True, slots=True)
class SentRow:
    """One thing that was sent of one person, with the schedule (None: it was deleted)."""

    entry: SentLog
    schedule: Schedule | None
    differences: Sequence[Difference]
    look: str
    word: str


def of_profile(guid: UUID, *, before: tuple[datetime, int] | None = None, limit: int) -> list[SentRow]:
    """What was sent of a person and of whoever became part of them, the latest first."""
    rows = sent_log.of_profiles(all_ids(guid))
    if before is not None:
        at, id_ = before
        rows = rows.filter(Q(at__lt=at) | Q(at=at, id__lt=id_), at__lte=at)
    return show(rows[:limit])


def show(entries: Iterable[SentLog]) -> list[SentRow]:
    """Rows of the log with their schedules, in two statements."""
    found = list(entries)
    schedules = Schedule.objects.select_related("app").in_bulk({entry.schedule_id for entry in found})
    return [
        SentRow(
            entry,
            schedules.get(entry.schedule_id),
            find_differences(entry.before, entry.after, entry.groups_before or (), entry.groups_after or ()),
            look,
            str(word),
        )
        for entry in found
        for look, word in (_LOOKS.get(entry.outcome, _HALTED),)
    ]
