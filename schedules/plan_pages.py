"""What the page of a plan shows: each person with what would change, and why someone would be removed. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext, gettext_lazy

from core.ui import charts
from core.ui.wording import percent
from groups.models import GroupMember, GroupMembershipChange
from profiles import queries
from profiles.models import Profile
from profiles.queries import Person
from schedules import guard
from schedules.differences import Difference
from schedules.models import Schedule
from schedules.plans import Plan, PlannedRow

_GONE = gettext_lazy("Is no profile any more")
_NO_GROUP = gettext_lazy("Is in no group that is sent any more")
_NO_KEY = gettext_lazy("Has no value any more by which the destination would know them")


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row of a plan as its page shows it."""

    row: PlannedRow
    person: Person | None
    differences: Sequence[Difference]
    reason: str = ""  # of a removal


@dataclass(frozen=True, slots=True)
class GuardLine:
    """How much of what is held would be touched, beside what the guard allows."""

    bar: str
    touched: str
    allowed: str
    is_beyond: bool


def show_rows(schedule: Schedule, rows: Sequence[PlannedRow]) -> list[ShownRow]:
    """With the people's names, and the reasons of removals, in a handful of statements."""
    profiles = queries.by_ids([row.profile_id for row in rows])
    named = queries.name_people(profiles, queries.rules_in_use())
    people = {person.profile.pk: person for person in named}
    reasons = _find_reasons(schedule, [row.profile_id for row in rows if row.kind == "removed"], people)
    return [ShownRow(row, people.get(row.profile_id), row.differences, reasons.get(row.profile_id, "")) for row in rows]


def show_guard(plan: Plan) -> GuardLine | None:
    """The share that would be removed or changed; None where nothing is held yet."""
    if not plan.held:
        return None
    share, touched = guard.share_of(plan.run.schedule), plan.removed + plan.updated
    part, is_beyond = min(1.0, touched / plan.held), touched > share * plan.held
    inside = min(part, share)
    label = gettext("%(touched)s would be removed or updated; the guard stands at %(share)s") % {
        "touched": percent(touched, plan.held, digits=1),
        "share": percent(share, 1),
    }
    return GuardLine(
        bar=charts.bar([(100 * inside, ""), (100 * (part - inside), "p3")], label=label),
        touched=percent(touched, plan.held, digits=1),
        allowed=percent(share, 1),
        is_beyond=is_beyond,
    )


def _find_reasons(schedule: Schedule, ids: Sequence[UUID], people: Mapping[UUID, Person]) -> dict[UUID, str]:
    """Why the export wants these people no more: the group that they left last, or what became of their profile."""
    if not ids:
        return {}
    groups = dict(schedule.groups.values_list("group_id", "group__name"))
    left = GroupMembershipChange.objects.filter(profile_id__in=ids, group_id__in=list(groups), joined=False)
    last = left.order_by("profile_id", "-at").distinct("profile_id").values_list("profile_id", "group_id")
    reasons = {profile_id: gettext("Left %(groups)s") % {"groups": groups[group_id]} for profile_id, group_id in last}
    members = set(
        GroupMember.objects.filter(profile_id__in=ids, group_id__in=list(groups)).values_list("profile_id", flat=True)
    )
    for each in ids:
        profile: Profile | None = people[each].profile if each in people else None
        if profile is None:
            reasons[each] = str(_GONE)
        elif profile.merged_into is not None:
            reasons[each] = gettext("Became part of another profile")
        elif each not in reasons:
            reasons[each] = str(_NO_KEY if schedule.everyone or each in members else _NO_GROUP)
    return reasons
