"""What the list of events shows: filters, one page of them, who they are about, how many still wait. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import OperationalError, connection, transaction
from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy
from psycopg2 import errorcodes

from core.lib import uuid7
from core.ui import causes
from core.ui.causes import Cause
from core.ui.search import Hit
from core.ui.wording import relative
from events.models import Event, EventState, Inbox
from events.queries import ids_of, newest_of, source_causes
from profiles import queries
from profiles.models import ProfilePropertyRule
from profiles.queries import Person

SPANS: Mapping[str, tuple[str | Promise, timedelta]] = {
    "hour": (gettext_lazy("In the last hour"), timedelta(hours=1)),
    "day": (gettext_lazy("In the last 24 hours"), timedelta(days=1)),
    "week": (gettext_lazy("In the last 7 days"), timedelta(days=7)),
    "month": (gettext_lazy("In the last 30 days"), timedelta(days=30)),
}
LOOKS: Mapping[str, str] = {EventState.PROCESSED: "ok", EventState.UNLINKED: "warn", EventState.REJECTED: "bad"}
_PATIENCE = "3s"  # a rare type among millions of events is not worth waiting for longer
_RECENT = 1000  # events among which types are looked for, to offer them
_MOST_TYPES = 30
LOOKED_AT = 100_000  # events whose payloads are looked into at once


class TooSlow(Exception):
    """The search would read too much; a shorter time narrows it."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a person asked for; empty parts ask for nothing. `people` is None unless someone was named."""

    type: str = ""
    span: str = ""
    state: str = ""
    person: str = ""
    key: str = ""
    value: str = ""
    people: tuple[UUID, ...] | None = None

    @property
    def are_set(self) -> bool:
        """Whether anything narrows the list."""
        return bool(self.type or self.span or self.state or self.person or self.key)

    @property
    def given(self) -> list[tuple[str, str]]:
        """What was asked for, as a form sends it."""
        names = ("type", "span", "state", "person", "key", "value")
        return [(name, getattr(self, name)) for name in names if getattr(self, name)]


@dataclass(frozen=True, slots=True)
class Row:
    """One event in the list."""

    event: Event
    look: str
    word: str
    source: Cause
    person: Person | None


def read_filters(given: Mapping[str, str], rules: Sequence[ProfilePropertyRule]) -> Filters:
    """The filters of a query string; what means nothing is left out. Someone is named as in the search for people."""
    person = given.get("person", "").strip()
    people = None
    if person:
        people = tuple(queries.search_ids(person, rules))
    span, state = given.get("span", ""), given.get("state", "")
    return Filters(
        type=given.get("type", "").strip(),
        span=span if span in SPANS else "",
        state=state if state in EventState.values else "",
        person=person,
        key=given.get("key", "").strip()[:200],
        value=given.get("value", "").strip()[:1000],
        people=people,
    )


@dataclass(frozen=True, slots=True)
class Found:
    """The events of one page. `looked_to` is the last event that was looked at, where that is not the very first."""

    events: list[Event]
    looked_to: UUID | None = None


def find(filters: Filters, *, before: UUID | None, limit: int) -> Found:
    """The newest events that fit, those before an id. Raises TooSlow when that takes longer than a page may.

    What stands in payloads is looked for in so many events at a time, since no index holds it.
    """
    found = Event.objects.order_by("-id")
    if before is not None:
        found = found.filter(pk__lt=before)
    if filters.span:
        found = found.filter(pk__gte=uuid7.lowest(timezone.now() - SPANS[filters.span][1]))
    if filters.type:
        found = found.filter(type=filters.type)
    if filters.state:
        found = found.filter(state=filters.state)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("set local statement_timeout = %s", [_PATIENCE])
            return _find(found, filters, limit)
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", None) == errorcodes.QUERY_CANCELED:
            raise TooSlow from None
        raise


def _find(found: QuerySet[Event], filters: Filters, limit: int) -> Found:
    if filters.people is not None:
        about = has_payload(found, key=filters.key, value=filters.value) if filters.key else found
        return Found(newest_of(filters.people, about, limit=limit))
    return _look_into(found, filters, limit) if filters.key else Found(list(found[:limit]))


def _look_into(found: QuerySet[Event], filters: Filters, limit: int) -> Found:
    """Those of the newest `LOOKED_AT` whose payload has the key, with this value where one is asked for."""
    looked = list(found.values_list("pk", flat=True)[LOOKED_AT - 1 : LOOKED_AT])
    within = found.filter(pk__gte=looked[0]) if looked else found
    holds = has_payload(within, key=filters.key, value=filters.value)
    events = list(holds[:limit])
    return Found(events, looked[0] if looked and len(events) < limit else None)


def has_payload(events: QuerySet[Event], *, key: str, value: str = "") -> QuerySet[Event]:
    """Those whose payload has a key, with this value (as text) where one is given."""
    if value:
        asked = RawSQL("payload ->> %s = %s", [key, value], output_field=BooleanField())
    else:
        asked = RawSQL("payload -> %s is not null", [key], output_field=BooleanField())
    return events.filter(asked)


def show(events: Sequence[Event], rules: Sequence[ProfilePropertyRule]) -> list[Row]:
    """Events with who they are about and what produced them, with a few statements for all of them."""
    people = name_people([event.profile_id for event in events if event.profile_id is not None], rules)
    sources = source_causes(events)
    named = causes.name_all(sources.values())
    return [
        Row(
            event=event,
            look="warn" if event.state == EventState.PROCESSED and event.error else LOOKS[event.state],
            word=word_of(event),
            source=named[sources[event.pk]],
            person=people.get(event.profile_id) if event.profile_id else None,
        )
        for event in events
    ]


def word_of(event: Event) -> str:
    """The state of an event in a word or three."""
    if event.state == EventState.PROCESSED:
        return gettext("Processed, with a warning") if event.error else gettext("Processed")
    return gettext("Found no person") if event.state == EventState.UNLINKED else gettext("Rejected")


def name_people(profile_ids: Sequence[UUID], rules: Sequence[ProfilePropertyRule] | None = None) -> dict[UUID, Person]:
    """Who these profiles are; those that are gone are absent. `rules` in use are read when they are not given."""
    profiles = queries.by_ids(list(dict.fromkeys(profile_ids)))
    if not profiles:
        return {}
    known = queries.rules_in_use() if rules is None else rules
    return {person.profile.pk: person for person in queries.name_people(profiles, known)}


def recent_types() -> list[str]:
    """The types of the latest events, to choose from."""
    latest = Event.objects.order_by("-id").values_list("type", flat=True)[:_RECENT]
    return sorted({kind for kind in latest if kind})[:_MOST_TYPES]


def recent_keys() -> list[str]:
    """The keys of the latest events' payloads, the most frequent first, to choose from."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select k.key from (select payload from event order by id desc limit %s) e"
            " cross join lateral json_object_keys(e.payload) k(key) group by 1 order by count(*) desc, 1 limit %s",
            [_RECENT, _MOST_TYPES],
        )
        return [row[0] for row in cursor.fetchall()]


def find_waiting(event_id: UUID) -> Inbox | None:
    """An event that was accepted and is not processed yet."""
    return Inbox.objects.filter(pk=event_id).first()


def find_by_name(text: str, limit: int) -> list[Hit]:
    """For the search box: events by their id or message id, also those that wait."""
    ids = ids_of(text)[:limit]
    if not ids:
        return []
    found: list[Event | Inbox] = list(Event.objects.filter(pk__in=ids).defer("payload"))
    if len(found) < len(ids):
        found += Inbox.objects.filter(pk__in=set(ids) - {event.pk for event in found}).defer("payload")
    return [
        Hit(
            event.type or gettext("Event"),
            reverse("events:show", args=[event.pk]),
            f"{word_of(event) if isinstance(event, Event) else gettext('Waiting')}, {relative(event.received_at)}",
        )
        for event in found
    ]
