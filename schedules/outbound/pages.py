"""What the pages of subscriptions and deliveries show. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import OperationalError, connection, transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy
from psycopg2 import errorcodes

from apps_connectors.models import App
from core.lib import uuid7
from core.lib.errors import InvalidInput
from core.ui.counting import Count, Question
from events.pages import TooSlow, name_people
from groups.models import Group
from plugins import registry
from plugins.base import ForwardsEvents
from profiles.models import ProfilePropertyRule
from profiles.queries import Person
from schedules.models import Direction, Schedule
from schedules.outbound import conditions, queries, replays
from schedules.outbound.models import (
    ENDED,
    DeliveryState,
    Match,
    OutboundDelivery,
    Subscription,
    SubscriptionState,
)
from schedules.outbound.queries import Counts, Wanted
from schedules.outbound.replays import Replay
from schedules.outbound.trying import Preview, TestAnswer

LOOKS: Mapping[str, tuple[str, str | Promise]] = {
    DeliveryState.WAITING: ("wait", gettext_lazy("Waiting for data")),
    DeliveryState.OWED: ("wait", gettext_lazy("Not sent yet")),
    DeliveryState.SENT: ("info", gettext_lazy("Sent, not answered")),
    DeliveryState.RETRYING: ("warn", gettext_lazy("Retrying")),
    DeliveryState.HALTED: ("wait", gettext_lazy("Halted")),
    DeliveryState.ACCEPTED: ("ok", gettext_lazy("Accepted")),
    DeliveryState.REJECTED: ("bad", gettext_lazy("Rejected")),
    DeliveryState.GIVEN_UP: ("bad", gettext_lazy("Given up")),
    DeliveryState.SKIPPED: ("off", gettext_lazy("Skipped")),
}
FAILED = (DeliveryState.REJECTED, DeliveryState.GIVEN_UP)
_OUTCOMES = {
    "accepted": ("ok", gettext_lazy("Accepted")),
    "retry": ("warn", gettext_lazy("Not taken just now")),
    "reject": ("bad", gettext_lazy("Rejected")),
    "halt": ("wait", gettext_lazy("Something has to be mended first")),
}
STATES = {"on": gettext_lazy("On"), "paused": gettext_lazy("Paused"), "waits": gettext_lazy("Waiting for you")}
_PATIENCE = "3s"


@dataclass(frozen=True, slots=True)
class Shown:
    """A subscription with its state as a word and a look, and its figures of the last 24 hours."""

    subscription: Subscription
    look: str
    word: str
    counts: Counts
    rests_until: datetime | None = None

    @property
    def needs_person(self) -> bool:
        """Whether it stopped by itself and something has to be mended."""
        return self.subscription.state == SubscriptionState.PAUSED and bool(self.subscription.paused_reason)

    @property
    def accepted(self) -> int:
        """Events of the last 24 hours that arrived."""
        return self.counts.lately.get(DeliveryState.ACCEPTED, 0)

    @property
    def failed(self) -> int:
        """Events of the last 24 hours that did not go through for good."""
        return sum(self.counts.lately.get(state, 0) for state in FAILED)

    @property
    def is_more(self) -> bool:
        """Whether more wait than were counted."""
        return self.counts.waiting >= queries.MOST_COUNTED

    @property
    def groups(self) -> list[Group]:
        """The groups that it names itself."""
        return sorted((each.group for each in self.subscription.groups.all()), key=lambda group: group.name)

    @property
    def rules(self) -> list[ProfilePropertyRule]:
        """The properties that it names itself, in the order in which they go out."""
        return [each.rule for each in self.subscription.properties.all()]


SORTS: Mapping[str, Callable[[Shown], Any]] = {
    "name": lambda shown: shown.subscription.name.lower(),
    "waiting": lambda shown: shown.counts.waiting,
    "failed": lambda shown: shown.failed,
    "last": lambda shown: shown.counts.last_at,
}


@dataclass(frozen=True, slots=True)
class Halted:
    """A subscription that stopped, and what has to be mended."""

    pk: int
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Filters:
    """What a person asked of a list of subscriptions."""

    app: int | None = None
    state: str = ""

    @property
    def are_set(self) -> bool:
        """Whether anything narrows the list."""
        return self.app is not None or bool(self.state)


@dataclass(frozen=True, slots=True)
class Row:
    """One delivery in a list. `person` None: the profile is gone."""

    delivery: OutboundDelivery
    look: str
    word: str
    person: Person | None
    subscription: Subscription | None = None

    @property
    def is_ended(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.delivery.state in ENDED

    @property
    def can_be_sent_again(self) -> bool:
        """Whether a person may ask for it again now."""
        return self.delivery.body is not None and (self.is_ended or self.delivery.state == DeliveryState.RETRYING)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, from a delivery's log. `request` goes without its body, which is the delivery's."""

    at: datetime | None
    seconds: float | None
    look: str
    word: str
    text: str
    request: str
    reply: str


@dataclass(frozen=True, slots=True)
class ShownTest:
    """What a destination said to a test event, as a word and a look."""

    answer: TestAnswer
    look: str
    word: str


@dataclass(frozen=True, slots=True)
class ShownPreview:
    """The JSON for the last event, and whom that is about; or why there is none."""

    preview: Preview | None = None
    person: Person | None = None
    problem: str = ""
    errors: Sequence[str] = field(default=())


# ---------------------------------------------------------------- subscriptions


def show_all(filters: Filters) -> list[Shown]:
    """The subscriptions that fit, by name, with a few statements for all of them."""
    found = queries.subscriptions().order_by("name")
    if filters.app is not None:
        found = found.filter(app_id=filters.app)
    if filters.state == "on":
        found = found.filter(state=SubscriptionState.ON)
    elif filters.state:
        found = found.filter(state=SubscriptionState.PAUSED)
        found = found.exclude(paused_reason="") if filters.state == "waits" else found.filter(paused_reason="")
    return show(list(found))


def show(subscriptions: Sequence[Subscription]) -> list[Shown]:
    """These subscriptions, made by `queries.subscriptions()`, with their figures."""
    ids = [each.pk for each in subscriptions]
    counts = queries.count_deliveries(ids) if ids else {}
    return [_show(each, counts[each.pk]) for each in subscriptions]


def _show(subscription: Subscription, counts: Counts) -> Shown:
    rests_until = subscription.cursor.rests_until
    if rests_until is not None and rests_until <= timezone.now():
        rests_until = None
    return Shown(subscription, *_state_of(subscription, rests_until), counts, rests_until)


def _state_of(subscription: Subscription, rests_until: datetime | None) -> tuple[str, str]:
    if subscription.state == SubscriptionState.PAUSED:
        return ("wait", gettext("Waiting for you")) if subscription.paused_reason else ("off", gettext("Paused"))
    if subscription.app.paused_at is not None:
        return "off", gettext("Its App is paused")
    return ("warn", gettext("Retrying")) if rests_until else ("ok", gettext("On"))


def find_apps() -> list[App]:
    """The Apps that take events, by name."""
    return [app for app in App.objects.order_by("name") if takes_events(app)]


def takes_events(app: App) -> bool:
    """Whether events can be sent to an App."""
    try:
        return issubclass(registry.get(app.type), ForwardsEvents)
    except registry.UnknownApp:
        return False


def exports_of(app: App) -> list[Schedule]:
    """The exports to an App, which a subscription of it may follow."""
    return list(Schedule.objects.filter(app=app, direction=Direction.EXPORT).order_by("name"))


def sent_parts(shown: Shown) -> tuple[list[Group], list[str]]:
    """The groups and the keys of the properties that a subscription, or the export it follows, asks for now."""
    followed = shown.subscription.follows
    if followed is None:
        return shown.groups, [rule.key for rule in shown.rules]
    links = followed.groups.select_related("group").order_by("group__name")
    keys = followed.fields.order_by("pk").values_list("rule__key", flat=True)
    return [link.group for link in links], list(dict.fromkeys(keys))


def say_conditions(subscription: Subscription) -> list[str]:
    """What the event has to carry and who the person has to be, in words; what to mend when that makes no sense."""
    try:
        return conditions.say(subscription.where, subscription.people)
    except InvalidInput as error:
        return [error.message]


def recent_replay(subscription: Subscription) -> Replay | None:
    """The replay that goes on, or that ended within the last hour."""
    found = replays.find(subscription.pk)
    if found is None or (found.finished_at and found.finished_at < timezone.now() - timedelta(hours=1)):
        return None
    return found


def halted_question() -> Question:
    """Those that stopped by themselves and wait for a person; `read_halted` reads the answer."""
    one = "json_build_object('pk', id, 'name', name, 'reason', paused_reason)"
    return Question(
        "subscription where state = 'paused' and paused_reason <> ''", parts={"which": f"json_agg({one} order by name)"}
    )


def read_halted(answer: Count) -> list[Halted]:
    """The subscriptions of an answer to `halted_question`, by name."""
    return [Halted(**each) for each in answer.parts.get("which") or ()]


def sent_since(at: datetime) -> Question:
    """Events that were to go out since then, and what became of them."""
    return Question(
        "outbound_delivery where event_id >= %s",
        [uuid7.lowest(at)],
        {
            "accepted": "count(*) filter (where state = 'accepted')",
            "failed": "count(*) filter (where state in ('rejected', 'given_up'))",
            "late": "count(*) filter (where state = 'retrying')",
        },
    )


def say_events(match: str, value: str) -> str:
    """Which events, for a name: "signed_up", "events with email", "every event"."""
    if match == Match.EVERY:
        return gettext("every event")
    return value if match == Match.TYPE else gettext("events with %(value)s") % {"value": value}


# ---------------------------------------------------------------- deliveries


def list_deliveries(
    wanted: Wanted | None = None,
    *,
    subscription_id: int | None = None,
    event_id: UUID | None = None,
    before: UUID | None = None,
    limit: int,
) -> list[OutboundDelivery]:
    """A page of the ledger, the latest events first. Raises TooSlow when that takes longer than a page may."""
    found = queries.deliveries(wanted, subscription_id=subscription_id, event_id=event_id).defer("log")
    if before is not None:
        found = found.filter(event_id__lt=before)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("set local statement_timeout = %s", [_PATIENCE])
            return list(found[:limit])
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", None) == errorcodes.QUERY_CANCELED:
            raise TooSlow from None
        raise


def show_deliveries(deliveries: Sequence[OutboundDelivery], *, with_subscriptions: bool = False) -> list[Row]:
    """Deliveries with whom they are about; the people in one statement, the subscriptions in another."""
    people = name_people([each.profile_id for each in deliveries])
    named = _subscriptions_of(deliveries) if with_subscriptions else {}
    return [
        Row(each, *_look_of(each.state), people.get(each.profile_id), named.get(each.subscription_id))
        for each in deliveries
    ]


def _subscriptions_of(deliveries: Iterable[OutboundDelivery]) -> Mapping[int, Subscription]:
    ids: Collection[int] = {each.subscription_id for each in deliveries}
    return queries.subscriptions().in_bulk(ids)


def read_log(delivery: OutboundDelivery) -> list[Attempt]:
    """The attempts, the earliest first; at most the last ten are kept."""
    return [_read_attempt(entry) for entry in delivery.log]


def _read_attempt(entry: Mapping[str, Any]) -> Attempt:
    outcome = str(entry.get("outcome", ""))
    look, word = LOOKS.get(outcome, ("off", outcome))
    return Attempt(
        at=parse_datetime(str(entry.get("at", ""))),
        seconds=entry.get("seconds"),
        look=look,
        word=str(word),
        text=str(entry.get("text", "")),
        request=str(entry.get("request") or ""),
        reply=str(entry.get("reply") or ""),
    )


def _look_of(state: str) -> tuple[str, str]:
    look, word = LOOKS[state]
    return look, str(word)


def show_test(answer: TestAnswer) -> ShownTest:
    """The answer to a test event."""
    look, word = _OUTCOMES[answer.outcome]
    return ShownTest(answer, look, str(word))


def show_preview(preview: Preview) -> ShownPreview:
    """A preview with whom it is about."""
    person = name_people([preview.profile]).get(preview.profile) if preview.profile else None
    return ShownPreview(preview, person)


def day_ago() -> datetime:
    """Where the last 24 hours begin."""
    return timezone.now() - timedelta(days=1)
