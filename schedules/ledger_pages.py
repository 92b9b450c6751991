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

# What people choose from: the word, and the states behind it.
FILTERS: dict[str, tuple[str | Promise, tuple[RecordState, ...]]] = {
    "held": (gettext_lazy("Up to date"), (RecordState.HELD,)),
    "owed": (gettext_lazy("Still owed"), (RecordState.OWED, RecordState.SENT, RecordState.PLANNED)),
    "rejected": (gettext_lazy("Rejected"), (RecordState.REJECTED,)),
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
    """People in the order of their profiles, behind `after`; those whose key begins with `search`."""
    rows = ExportRecord.objects.filter(schedule_id=schedule.pk)
    if chosen in FILTERS:
        rows = rows.filter(state__in=FILTERS[chosen][1])
    if search:
        rows = rows.filter(Q(key__istartswith=search) | Q(owed_key__istartswith=search))
    if after is not None:
        rows = rows.filter(profile_id__gt=after)
    found = list(rows.order_by("profile_id")[:limit])
    people = _name([record.profile_id for record in found])
    return [LedgerRow(record, people.get(record.profile_id)) for record in found]


def count_rows(schedule: Schedule) -> Count:
    """How many people of each filter, where counting is cheap."""
    return count({"rows": Question("export_record where schedule_id = %s", [schedule.pk], _PARTS)})["rows"]


def _name(ids: Sequence[UUID]) -> dict[UUID, Person]:
    named = queries.name_people(queries.by_ids(ids), queries.rules_in_use())
    return {person.profile.pk: person for person in named}
