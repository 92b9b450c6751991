"""What would become of the first rows of an import that need not be saved yet: a dry run of its first page.

The rows are read, mapped, resolved and hydrated exactly as a run would, up to where it would begin to write. Nothing
is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast
from uuid import UUID

from django.db import models
from django.utils.translation import gettext, gettext_lazy

from apps_connectors.connections import connect
from core.lib.clock import from_us
from core.lib.errors import InvalidInput
from pipeline.process import Prepared, prepare
from plugins.base import ImportsRecords
from plugins.contracts import Page, PluginError
from profiles import hydration, ruleset
from profiles.person import Person
from schedules import schedules_store
from schedules.checking import has_source, source_of
from schedules.models import Direction
from schedules.row_plans import plan_rows
from schedules.rows import RowPlan, build_events, to_json
from schedules.schedules_store import ScheduleData

SHOWN = 20
_UNNAMED = "New import"
_HIDDEN = "_"  # begins the keys of the change log that are no properties


class Fate(models.TextChoices):
    """What would become of a row."""

    CREATED = "created", gettext_lazy("Makes a profile")
    UPDATED = "updated", gettext_lazy("Changes a profile")
    UNCHANGED = "unchanged", gettext_lazy("Changes nothing")
    REPEATED = "repeated", gettext_lazy("Same person as a row above")
    NOBODY = "nobody", gettext_lazy("Belongs to nobody")
    REJECTED = "rejected", gettext_lazy("Rejected")


@dataclass(frozen=True, slots=True)
class FirstRow:
    """One row. `profile_id` is of someone who is known already; `changes` gives (before, after) by property.

    `values` are those of the mapped columns, by property. `problems` are sentences.
    """

    number: int
    fate: Fate
    values: Mapping[str, Any] = field(default_factory=dict)
    profile_id: UUID | None = None
    changes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    problems: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class FirstRows:
    """The first rows and what became of them; `has_more` says whether these were not all."""

    rows: Sequence[FirstRow]
    mapping: Mapping[str, str]
    notes: Sequence[str]
    has_more: bool

    @property
    def counts(self) -> dict[str, int]:
        """How many rows have each fate that there is; those that nothing happens to are left out."""
        counted = Counter(row.fate.value for row in self.rows)
        return {fate.value: counted[fate.value] for fate in Fate if counted[fate.value]}


def try_first_rows(data: ScheduleData, *, limit: int = SHOWN) -> FirstRows:
    """Read the first rows of an import and say what they would do. Raises `InvalidInput` as saving it would."""
    if data.direction != Direction.IMPORT:
        raise InvalidInput(gettext("Only an import reads rows."), {"direction": gettext("Choose import.")})
    data, _ = schedules_store.check(replace(data, name=data.name.strip() or _UNNAMED))
    if not has_source(data.options):
        message = gettext("Say what to read. Files that people bring are looked at when they are brought.")
        raise InvalidInput(message, {"options": message})
    read_at = from_us(hydration.database_now_us())
    page = _read(data, limit=limit)
    rules = ruleset.load()
    plan = plan_rows(page, rules, app_id=data.app_id, options=data.options, fields=data.fields, name=data.name)
    try:
        built = build_events(page, plan, read_at=read_at, number=0)
    except PluginError as error:
        raise InvalidInput(error.reason, {"fields": error.reason}) from None
    rows = _judge(prepare(built.events), plan, payloads=[event.payload for event in built.events])
    repaired = [
        gettext("Characters that cannot be stored were replaced in %(name)s.") % {"name": name}
        for name in built.repaired
    ]
    refused = [FirstRow(bad.number, Fate.REJECTED, problems=[bad.reason]) for bad in page.rejected]
    return FirstRows([*rows, *refused], plan.mapping, [*page.notes, *repaired], page.more)


def _read(data: ScheduleData, *, limit: int) -> Page:
    try:
        with connect(data.app_id) as app:
            return cast("ImportsRecords", app).read_page(source_of(data.options), after=None, limit=limit)
    except PluginError as error:
        raise InvalidInput(error.reason, {"options": error.reason}) from None


def _judge(prepared: Prepared, plan: RowPlan, *, payloads: Sequence[Mapping[str, Any]]) -> list[FirstRow]:
    """The fate of each row: what the plan of a batch says of its person, told at the first row about them."""
    problems: dict[int, list[str]] = {}
    for index, what, detail in prepared.result.errors:
        problems.setdefault(index, []).append(f"{what} (“{detail[:80]}”)")
    resolved = {
        item.index: (person, note)
        for item, person, note in zip(
            prepared.items, prepared.resolution.people_of, prepared.resolution.notes, strict=True
        )
    }
    seen: set[UUID] = set()
    rows = []
    for index, payload in enumerate(payloads):
        values = {key: to_json(payload.get(key)) for key in plan.mapping.values()}
        person, note = resolved.get(index, (None, ""))
        told = [*problems.get(index, []), *([note] if note else [])]
        if index not in resolved:
            rows.append(
                FirstRow(index + 1, Fate.REJECTED, values, problems=told or [gettext("It is the same as a row above.")])
            )
        elif person is None:
            rows.append(FirstRow(index + 1, Fate.NOBODY, values, problems=told))
        else:
            rows.append(_judge_person(index + 1, _whole(person), values, told, prepared, seen))
    return rows


def _judge_person(
    number: int, person: Person, values: Mapping[str, Any], told: Sequence[str], prepared: Prepared, seen: set[UUID]
) -> FirstRow:
    known = None if person.is_new else person.guid
    if person.guid in seen:
        return FirstRow(number, Fate.REPEATED, values, known, problems=told)
    seen.add(person.guid)
    changed = {
        key: (to_json(before), to_json(after))
        for key, (before, after) in person.changed_values().items()
        if not key.startswith(_HIDDEN)
    }
    unanswered = [
        gettext("%(key)s could not be asked for: %(reason)s") % {"key": key, "reason": reason}
        for key, reason in prepared.fetched.errors.get(person.guid, {}).items()
    ]
    fate = Fate.CREATED if person.is_new else Fate.UPDATED if changed else Fate.UNCHANGED
    return FirstRow(number, fate, values, known, changed, [*told, *unanswered])


def _whole(person: Person) -> Person:
    """Who someone became part of."""
    while person.absorbed_by is not None:
        person = person.absorbed_by
    return person
