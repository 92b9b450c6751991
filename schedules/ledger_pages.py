"""What the page of an export's ledger shows: who is there, who is owed something, who was refused. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from core.ui.counting import Count, Question, count
from profiles import queries
from profiles.queries import Person
from schedules.models import ExportRecord, RecordState, Schedule

MOST_FOUND = 1_000  # people whom a search looks up in the ledger; whoever has more writes more letters

# What people choose from: the word, and the rows behind it. What goes beyond the state is what an index holds.
_OWED = Q(state__in=[RecordState.OWED, RecordState.SENT, RecordState.PLANNED], next_at__isnull=False)
_REJECTED = Q(state=RecordState.REJECTED, next_at__isnull=True) & ~Q(error="")
FILTERS: dict[str, tuple[str | Promise, Q]] = {
    "held": (gettext_lazy("Up to date"), Q(state=RecordState.HELD)),
    "owed": (gettext_lazy("Still owed"), _OWED),
    "rejected": (gettext_lazy("Rejected"), _REJECTED),
}
_PARTS = {
    "held": "count(*) filter (where state = 'held')",
    "owed": "count(*) filter (where state in ('owed', 'sent', 'planned'))",
    "rejected": "count(*) filter (where state = 'rejected')",
}


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One person at one destination; `person` is None when the profile is gone."""

    record: ExportRecord
    person: Person | None

    @property
    def key(self) -> str:
        """By what the destination knows them, or is to know them."""
        return self.record.key or self.record.owed_key or ""

    @property
    def can_be_sent_again(self) -> bool:
        """Whether it may be asked for: the destination has it, or refused it."""
        return self.record.state == RecordState.REJECTED or bool(
            self.record.state == RecordState.HELD and self.record.key
        )


def read_rows(
    schedule: Schedule, *, chosen: str = "", search: str = "", after: UUID | None = None, limit: int
) -> list[LedgerRow]:
    """People in the order of their profiles, behind `after`; those whom `search` names by the start of a unique value,
    or by the whole of what the destination knows them by."""
    rows = ExportRecord.objects.filter(schedule_id=schedule.pk)
    if chosen in FILTERS:
        rows = rows.filter(FILTERS[chosen][1])
    if search:
        rows = rows.filter(profile_id__in=_search(schedule, search))
    if after is not None:
        rows = rows.filter(profile_id__gt=after)
    found = list(rows.order_by("profile_id")[:limit])
    people = _name([record.profile_id for record in found])
    return [LedgerRow(record, people.get(record.profile_id)) for record in found]


def _search(schedule: Schedule, text: str) -> list[UUID]:
    """Who may be meant: by their values now, and by the key they stand for, also when their profile is gone."""
    keys = ExportRecord.objects.filter(schedule_id=schedule.pk, claimed_key__in={text, text.lower(), text.upper()})
    people = queries.search_ids(text, queries.rules_in_use(), limit=MOST_FOUND)
    return [*people, *keys.values_list("profile_id", flat=True)]


def count_rows(schedule: Schedule) -> Count:
    """How many people of each filter, where counting is cheap."""
    return count({"rows": Question("export_record where schedule_id = %s", [schedule.pk], _PARTS)})["rows"]


def _name(ids: Sequence[UUID]) -> dict[UUID, Person]:
    named = queries.name_people(queries.by_ids(ids), queries.rules_in_use())
    return {person.profile.pk: person for person in named}
