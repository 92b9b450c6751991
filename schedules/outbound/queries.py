"""Reads of subscriptions and deliveries for pages and the API. Nothing here writes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import Prefetch, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from core.lib import uuid7
from core.lib.errors import NotFound
from core.ui import search
from core.ui.search import Hit
from schedules.outbound.models import OutboundDelivery, Subscription, SubscriptionGroup, SubscriptionProperty

MOST_COUNTED = 10_000  # of what waits; more is told as "10,000 and more"
_MOST_OF_A_DAY = 200_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Counts:
    """How a subscription is doing. `waiting` counts to `MOST_COUNTED`; `lately` the states of the last day's events;
    `last_at` is when the destination last answered one of those. `is_partial`: there were so many that only some were
    looked at."""

    waiting: int = 0
    lately: Mapping[str, int] = field(default_factory=dict)
    last_at: datetime | None = None
    is_partial: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deliveries. `since` and `until` are about when the event arrived; `profiles` None asks for nobody."""

    state: str = ""
    since: datetime | None = None
    until: datetime | None = None
    profiles: tuple[UUID, ...] | None = None

    @property
    def narrows(self) -> bool:
        """Whether it leaves any out."""
        return bool(self.state or self.since or self.until) or self.profiles is not None


def subscriptions() -> QuerySet[Subscription]:
    """All of them, with what their lists show."""
    return Subscription.objects.select_related("app", "follows", "cursor").prefetch_related(
        Prefetch("groups", SubscriptionGroup.objects.select_related("group").order_by("pk")),
        Prefetch("properties", SubscriptionProperty.objects.select_related("rule").order_by("pk")),
    )


def find_subscription(subscription_id: int) -> Subscription:
    """One of them; raises `NotFound`."""
    found = subscriptions().filter(pk=subscription_id).first()
    if found is None:
        raise NotFound(gettext("There is no subscription %(subscription_id)s.") % {"subscription_id": subscription_id})
    return found


def find_by_words(text: str, limit: int) -> list[Hit]:
    """For the search box: subscriptions by words of their names."""
    found = search.named(Subscription.objects.select_related("app"), text, "name")[:limit]
    return [Hit(each.name, reverse("subscriptions:show", args=[each.pk]), str(each.app)) for each in found]


def count_waiting(subscription_ids: Collection[int]) -> dict[int, int]:
    """How many events each of these subscriptions has yet to send, counted to `MOST_COUNTED`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select s.id, (select count(*) from (select from outbound_delivery d where d.subscription_id = s.id"
            " and d.next_at is not null limit %s) w) from unnest(%s::bigint[]) s(id)",
            [MOST_COUNTED, list(subscription_ids)],
        )
        return dict(cursor.fetchall())


def count_deliveries(subscription_ids: Collection[int]) -> dict[int, Counts]:
    """The figures of each of these subscriptions, in two statements."""
    since = uuid7.lowest(timezone.now() - timedelta(days=1))
    ids = list(subscription_ids)
    waiting = count_waiting(ids)
    with connection.cursor() as cursor:
        cursor.execute(
            "select subscription_id, state, count(*), max(answered_at)"
            " from (select subscription_id, state, answered_at from outbound_delivery"
            " where event_id >= %s limit %s) d group by 1, 2",
            [since, _MOST_OF_A_DAY],
        )
        lately: dict[int, dict[str, int]] = {}
        last: dict[int, datetime] = {}
        seen = 0
        for subscription_id, state, count, at in cursor.fetchall():
            seen += count
            lately.setdefault(subscription_id, {})[state] = count
            if at is not None:
                last[subscription_id] = max(at, last.get(subscription_id, at))
    is_partial = seen >= _MOST_OF_A_DAY
    return {each: Counts(waiting.get(each, 0), lately.get(each, {}), last.get(each), is_partial) for each in ids}


def deliveries(
    wanted: Wanted | None = None, *, subscription_id: int | None = None, event_id: UUID | None = None
) -> QuerySet[OutboundDelivery]:
    """The ledger, the latest events first; the primary key is the order of its pages."""
    wanted = wanted or Wanted()
    found = OutboundDelivery.objects.all()
    if subscription_id is not None:
        found = found.filter(subscription_id=subscription_id)
    if event_id is not None:
        found = found.filter(event_id=event_id)
    if wanted.state:
        found = found.filter(state=wanted.state)
    if wanted.since is not None:
        found = found.filter(event_id__gte=id_at(wanted.since))
    if wanted.until is not None:
        found = found.filter(event_id__lt=id_at(wanted.until))
    if wanted.profiles is not None:
        found = found.filter(profile_id__in=wanted.profiles)
    return found.order_by("-event_id", "-subscription_id")


def id_at(at: datetime) -> UUID:
    """Where the ids of events that arrived then begin."""
    return uuid7.lowest(max(at, _EPOCH))


def find_delivery(event_id: UUID, subscription_id: int) -> OutboundDelivery:
    """One delivery; raises `NotFound`."""
    found = OutboundDelivery.objects.filter(event_id=event_id, subscription_id=subscription_id).first()
    if found is None:
        raise NotFound(
            gettext("There is no delivery %(event_id)s-%(subscription_id)s.")
            % {"event_id": event_id, "subscription_id": subscription_id}
        )
    return found


def name_subscriptions(ids: Collection[int]) -> dict[int, str]:
    """The names of these subscriptions."""
    return dict(Subscription.objects.filter(pk__in=ids).values_list("pk", "name"))
