"""Reads of events for pages. Each one is keyed by profile or by a span of time; nothing here writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL
from django.urls import reverse
from django.utils.translation import gettext

from apps_connectors.models import App
from core.lib import uuid7
from core.ui import causes
from core.ui.causes import Cause
from core.ui.counting import Question
from events.models import Event, SourceKind
from profiles.merges import all_ids

# The key of a message is what `event_key` makes of it and of who may have sent it.
_IDS_OF = f"""
with sender(kind, id) as (
    select '{SourceKind.RUN}', 0 union all
    select '{SourceKind.API_KEY}', id from api_key union all
    select '{SourceKind.PERSON}', id from person union all
    select '{SourceKind.WEBHOOK}', app_id from hook
)
select distinct event_id from event_key
 where key = any(array(select md5(concat_ws(':', kind, id, %(name)s::text))::uuid from sender))
"""


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest event of a profile."""

    type: str
    occurred_at: datetime


def latest_of(profile_ids: Sequence[UUID]) -> dict[UUID, Latest]:
    """The newest event of each profile, with one statement; profiles without one are absent."""
    if not profile_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "select p.id, e.type, e.occurred_at from unnest(%s::uuid[]) p(id) cross join lateral"
            "(select newest.* from (select p.id as id union all select guid from profile where merged_into = p.id) part"
            " cross join lateral (select id, type, occurred_at from event where profile_id = part.id"
            "  order by id desc limit 1) newest order by newest.id desc limit 1) e",
            [[str(each) for each in profile_ids]],
        )
        return {row[0]: Latest(row[1], row[2]) for row in cursor.fetchall()}


def known_types(*, limit: int) -> list[str]:
    """The types of events there are, by name; one step along the index for each of them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "with recursive known(type) as ("
            " (select type from event order by type limit 1)"
            " union all select (select e.type from event e where e.type > k.type order by e.type limit 1)"
            " from known k where k.type is not null)"
            " select type from known where type is not null limit %s",
            [limit],
        )
        return [row[0] for row in cursor.fetchall()]


def of_profile(profile_id: UUID, *, limit: int) -> list[Event]:
    """The newest events of one profile, and of those that became part of it."""
    return newest_of([row["pk"] for row in all_ids(profile_id)], Event.objects.all(), limit=limit)


def newest_of(people: Sequence[UUID], found: QuerySet[Event], *, limit: int) -> list[Event]:
    """The newest of the events in `found` that are about these people, found for each of them along the index.

    Asked for all of them at once the planner sorts everything that they ever did, or reads the events of everyone.
    """
    one = found.order_by("-id").filter(profile_id=RawSQL("person.id", [])).values("pk")[:limit]
    statement, params = one.query.sql_with_params()
    ids = RawSQL(  # noqa: S611  (the ORM's own statement)
        f"select e.pk from unnest(%s::uuid[]) person(id) cross join lateral ({statement}) e order by 1 desc limit %s",
        [[str(each) for each in people], *params, limit],
    )
    return list(Event.objects.filter(pk__in=ids).order_by("-id"))


def arrived_since(at: datetime) -> Question:
    """How many events came since then: all, those that found no person, those from runs."""
    return Question(
        "event where id >= %s::uuid",
        [str(uuid7.lowest(at))],
        {
            "unlinked": "count(*) filter (where state = 'unlinked')",
            "from_runs": "count(*) filter (where source_kind = 'run')",
        },
    )


def source_causes(events: Sequence[Event]) -> dict[UUID, str]:
    """For each event what produced it, as a cause: "run:12"."""
    return {event.pk: f"{event.source_kind}:{event.source_id}" for event in events}


def name_events(ids: list[str]) -> Mapping[str, Cause]:
    """The causes "event:UUID" in words: the event's type and what produced it."""
    events = list(Event.objects.filter(pk__in=ids).only("id", "type", "source_kind", "source_id"))
    sources = source_causes(events)
    named = causes.name_all(sources.values())
    return {str(event.pk): _in_words(event, named[sources[event.pk]]) for event in events}


def name_hooks(ids: list[str]) -> Mapping[str, Cause]:
    """The causes "webhook:APP" in words."""
    wanted = [int(each) for each in ids if each.isdecimal()]
    names = App.objects.filter(pk__in=wanted).values_list("pk", "name")
    return {
        str(pk): Cause(gettext("a webhook of %(app)s") % {"app": name}, reverse("apps:show", args=[pk]))
        for pk, name in names
    }


def _in_words(event: Event, source: Cause) -> Cause:
    if event.source_kind == SourceKind.RUN:
        return source
    return Cause(
        gettext("%(type)s, by %(source)s") % {"type": event.type, "source": source.label}
        if event.type
        else source.label,
        source.url,
    )


def ids_of(name: str) -> list[UUID]:
    """The events that may be meant by an id or a message id, the latest first. Message ids are known for a week."""
    with connection.cursor() as cursor:
        cursor.execute(_IDS_OF, {"name": name.replace("\0", "")})
        found = {row[0] for row in cursor.fetchall()}
    with suppress(ValueError):
        found.add(UUID(name))
    return sorted(found, reverse=True)
