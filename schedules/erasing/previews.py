"""What would go if a person were erased: in numbers, and from where. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.utils.translation import gettext

from plugins import registry
from plugins.base import ExportsProfiles
from plugins.contracts import SyncMode
from profiles.merges import all_ids
from schedules.models import ExportRecord, Schedule
from schedules.outbound.models import OutboundDelivery, Subscription

_COUNTED = {
    "profiles": "profile where guid = any(%(ids)s)",
    "identities": "profile_identity where profile_id = any(%(ids)s)",
    "events": "event where profile_id = any(%(ids)s)",
    "changes of values": "profile_change where profile_id = any(%(ids)s)",
    "memberships": "group_member where profile_id = any(%(ids)s)",
    "joining and leaving groups": "group_membership_change where profile_id = any(%(ids)s)",
    "what exports sent": "sent_log where profile_id = any(%(ids)s)",
    "outbound events": "outbound_delivery where profile_id = any(%(ids)s)",
    "merges": "profile_merge where winner_id = any(%(ids)s) or loser_id = any(%(ids)s)",
}


@dataclass(frozen=True, slots=True)
class Holder:
    """An export that holds something of the person. `note` says what is special about removing it there."""

    schedule: Schedule
    note: str


@dataclass(frozen=True, slots=True)
class Preview:
    """`counts` by what; `holders` are told to remove; `told` got events, which nobody can call back, with how many."""

    profile_ids: Sequence[UUID]
    counts: dict[str, int]
    holders: Sequence[Holder]
    told: Sequence[tuple[Subscription, int]]


def preview(guid: UUID) -> Preview:
    """What erasing this person would delete, here and elsewhere."""
    profile_ids = sorted(all_ids(guid).values_list("pk", flat=True))
    columns = ", ".join(f"(select count(*) from {each})" for each in _COUNTED.values())
    with connection.cursor() as cursor:
        cursor.execute(f"select {columns}", {"ids": profile_ids})
        counts = dict(zip(_COUNTED, map(int, cursor.fetchone()), strict=True))
    records = ExportRecord.objects.filter(profile_id__in=profile_ids).values_list("schedule_id", flat=True)
    holders = Schedule.objects.select_related("app").filter(pk__in=set(records)).order_by("name")
    return Preview(profile_ids, counts, [Holder(each, _note(each)) for each in holders], _told(profile_ids))


def _told(profile_ids: Sequence[UUID]) -> list[tuple[Subscription, int]]:
    got = OutboundDelivery.objects.filter(profile_id__in=profile_ids, state="accepted")
    counted: dict[int, int] = {}
    for subscription_id in got.values_list("subscription_id", flat=True):
        counted[subscription_id] = counted.get(subscription_id, 0) + 1
    found = Subscription.objects.select_related("app").filter(pk__in=counted).order_by("name")
    return [(each, counted[each.pk]) for each in found]


def _note(schedule: Schedule) -> str:
    try:
        kind = registry.get(schedule.app.type)
    except registry.UnknownApp:
        return gettext("Its plugin is not installed: remove the person there yourself.")
    if not issubclass(kind, ExportsProfiles) or SyncMode.SYNC not in kind.sync_modes:
        return gettext("It cannot remove anyone: remove the person there yourself.")
    if schedule.app.paused_at is not None:
        return gettext("The App is paused: it removes them when it is resumed.")
    if schedule.mode != SyncMode.SYNC:
        return gettext("The export never removes; for this it does.")
    return ""
