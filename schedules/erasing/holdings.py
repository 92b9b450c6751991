"""Everything that is held about a person, as one JSON document in a stream. Reads only.

One object whose parts are lists, each read and written in pieces: a person with a million events costs no memory. What
belongs to whoever became part of the person is in it too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import islice
from typing import Any
from uuid import UUID

import orjson
from django.db.models import QuerySet
from django.utils import timezone

from events.models import Event
from groups.explaining import explain
from groups.models import Group, GroupMember, GroupMembershipChange
from profiles.merges import all_ids
from profiles.models import ANONYMOUS, HydrationRetry, Profile, ProfileChange, ProfileIdentity, ProfileMerge
from profiles.naming import DEVICE
from profiles.profile_answers import show_in_detail
from schedules.models import ExportRecord, Schedule, SentLog
from schedules.outbound.models import OutboundDelivery, Subscription

_AT_ONCE = 500
Row = Mapping[str, Any]


def stream(profile: Profile) -> Iterator[bytes]:
    """The document, piece by piece."""
    yield b'{"exported_at":' + _dump(timezone.now()) + b',"profile":' + _dump(show_in_detail(profile))
    for name, rows in _parts(profile):
        yield b",\n" + _dump(name) + b":["
        yield from _list(rows)
        yield b"]"
    yield b"}\n"


def _parts(profile: Profile) -> Iterator[tuple[str, Iterable[Row]]]:
    ids = sorted(all_ids(profile.pk).values_list("pk", flat=True))
    schedules = dict(Schedule.objects.values_list("pk", "name"))
    subscriptions = dict(Subscription.objects.values_list("pk", "name"))
    groups = dict(Group.objects.values_list("pk", "name"))
    yield "merged_profiles", _rows(Profile.objects.filter(merged_into=profile.pk).order_by("pk"))
    yield "identities", _identities(ids)
    yield "groups", _groups(profile)
    yield "events", _rows(Event.objects.filter(profile_id__in=ids).order_by("id"), without=("xid",))
    yield "changes", _rows(ProfileChange.objects.filter(profile_id__in=ids).order_by("at", "id"), without=("xid",))
    moves = GroupMembershipChange.objects.filter(profile_id__in=ids).order_by("at", "id")
    yield "memberships", _named(_rows(moves, without=("xid",)), "group", groups)
    yield (
        "exports",
        _named(_rows(ExportRecord.objects.filter(profile_id__in=ids).order_by("pk")), "schedule", schedules),
    )
    sent = SentLog.objects.filter(profile_id__in=ids).order_by("at", "id")
    yield "sent", _named(_rows(sent), "schedule", schedules)
    deliveries = OutboundDelivery.objects.filter(profile_id__in=ids).order_by("event_id", "subscription_id")
    yield "outbound_events", _named(_rows(deliveries), "subscription", subscriptions)
    merges = ProfileMerge.objects.filter(winner_id__in=ids) | ProfileMerge.objects.filter(loser_id__in=ids)
    yield "merges", _rows(merges.order_by("pk"))
    yield "hydration_retries", _rows(HydrationRetry.objects.filter(profile_id__in=ids))


def _identities(ids: list[UUID]) -> Iterator[Row]:
    owned = ProfileIdentity.objects.filter(profile_id__in=ids).order_by("rule_id", "value")
    keys = dict(owned.exclude(rule_id=ANONYMOUS).values_list("rule_id", "rule__key"))
    for rule_id, value in owned.values_list("rule_id", "value"):
        yield {"property": keys.get(rule_id, DEVICE), "value": value}


def _groups(profile: Profile) -> Iterator[Row]:
    """The groups they are in, each with the rules that made it so."""
    members = list(GroupMember.objects.filter(profile_id=profile.pk).select_related("group").order_by("group__name"))
    explained = explain(profile, [member.group for member in members], now=timezone.now())
    for member in members:
        explanation = explained.get(member.group_id)
        reasons = [asdict(reason) for reason in explanation.reasons] if explanation else []
        yield {
            "group_id": member.group_id,
            "name": member.group.name,
            "kind": member.group.kind,
            "since": member.created_at,
            "reasons": [{key: each[key] for key in ("sentence", "holds", "value", "at", "cause")} for each in reasons],
        }


def _named(rows: Iterable[Row], what: str, names: Mapping[int, str]) -> Iterator[Row]:
    return ({what: names.get(row[f"{what}_id"], ""), **row} for row in rows)


def _rows(found: QuerySet[Any, Any], *, without: tuple[str, ...] = ()) -> Iterator[Row]:
    fields = [field.attname for field in found.model._meta.concrete_fields if field.attname not in without]  # noqa: SLF001
    return found.values(*fields).iterator(chunk_size=_AT_ONCE)


def _list(rows: Iterable[Row]) -> Iterator[bytes]:
    pieces = iter(rows)
    is_first = True
    while some := list(islice(pieces, _AT_ONCE)):
        yield (b"" if is_first else b",") + b",\n".join(map(_dump, some))
        is_first = False


def _dump(value: Any) -> bytes:
    return orjson.dumps(value, default=str)
