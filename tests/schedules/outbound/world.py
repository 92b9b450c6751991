"""A tool in memory that takes events, and the world around it: factories for the tests of outbound events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar
from uuid import UUID

import pytest
from django.db import connection
from django.db.models.functions import Now

from apps_connectors import connections
from apps_connectors.models import App as AppRow
from core.accounts.actors import SYSTEM
from core.work.models import UNFINISHED, Work
from groups.models import Group, GroupKind
from plugins import registry
from plugins.base import App, ExportsProfiles, ForwardsEvents
from plugins.contracts import ACCEPTED, AppSpec, OutboundItem, Outcome, OutcomeKind, ProfileExport, Target
from profiles.models import ProfileIdentity
from schedules import cursor
from schedules.outbound import delivering, subscriptions
from schedules.outbound.bodies import SubscriptionData
from schedules.outbound.models import OutboundDelivery, Subscription
from tests.pipeline.people import event, rule, take
from tests.schedules.destinations import move_member
from tests.waiting import wait_until


@dataclass
class Box:
    """What arrived, call by call, and how the tool is told to answer.

    `answer` is asked for each item; what it raises is the answer for the whole batch. `after` is called when the batch
    has arrived, to cut the connection before the answer.
    """

    calls: list[list[OutboundItem]] = field(default_factory=list)
    taken: list[OutboundItem] = field(default_factory=list)
    answer: Callable[[OutboundItem], Outcome] = lambda item: ACCEPTED
    after: Callable[[], None] = lambda: None

    @property
    def bodies(self) -> list[Mapping[str, Any]]:
        """The bodies that were taken, in order."""
        return [item.body for item in self.taken]

    def numbers(self) -> list[Any]:
        """What stands under `number` in them."""
        return [body.get("number") for body in self.bodies]


class Postbox(App, ForwardsEvents, ExportsProfiles):
    """Takes events, one box for each App."""

    spec = AppSpec("postbox", "Postbox", "Takes events for tests.", "box", ("test",), ())
    repeatable = True
    event_batch_size = 50
    box: ClassVar[Box]

    def forward(self, batch: Sequence[OutboundItem]) -> Sequence[Outcome]:
        box = Postbox.box
        box.calls.append(list(batch))
        outcomes: list[Outcome] = []
        held = set()
        for item in batch:
            outcome = Outcome(OutcomeKind.RETRY, "An earlier one waits.") if item.profile in held else box.answer(item)
            if outcome.kind is OutcomeKind.ACCEPTED:
                box.taken.append(item)
            elif outcome.kind is OutcomeKind.RETRY:
                held.add(item.profile)
            outcomes.append(outcome)
        box.after()
        return outcomes

    def export(self, target: Target, batch: Sequence[ProfileExport]) -> Sequence[Outcome]:
        return [ACCEPTED] * len(batch)


@dataclass
class World:
    """A project with the rules of a shop, two groups, and a tool that takes events."""

    app: AppRow
    groups: Mapping[str, Group]
    box: Box

    def subscribe(self, name: str = "carts", **more: Any) -> Subscription:
        """Carts that were left, with email and first name, of everyone."""
        given: dict[str, Any] = {
            "name": name,
            "app_id": self.app.pk,
            "match": "key",
            "value": "cart_abandoned_at",
            "properties": ("first_name", "email"),
        }
        return subscriptions.create_subscription(SubscriptionData(**{**given, **more}), actor=SYSTEM)

    def join(self, user_id: int, group: str) -> None:
        """Make the person of this user id a member."""
        move_member(person(user_id), self.groups[group].pk, joined=True)


def make_world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Install the App type and make what outbound events need."""
    loaded = registry._load()
    apps: Mapping[str, type[App]] = {**loaded.apps, "postbox": Postbox}
    monkeypatch.setattr(registry, "_load", lambda: replace(loaded, apps=apps))
    connections.close_all()
    Postbox.box = Box()
    make_rules()
    groups = {name: Group.objects.create(name=name, kind=GroupKind.MANUAL) for name in ("lapsed", "usa")}
    return World(AppRow.objects.create(name="Postbox", type="postbox"), groups, Postbox.box)


def make_rules() -> None:
    """user_id and email identify; the others come in events."""
    rule("user_id", "integer", is_unique=True, identity_rank=1)
    rule("email", "email", is_unique=True, identity_rank=2)
    rule("first_name")
    rule("cart_abandoned_at", "date")


def cart(user_id: Any, **more: Any) -> Any:
    """An event of someone who left a cart."""
    return event({"user_id": user_id, "cart_abandoned_at": "Jan 5, 2019", **more})


def carts(user_id: int, *numbers: int) -> None:
    """Let this person leave these carts, one after the other."""
    take(*(cart(user_id, number=number) for number in numbers))


def person(user_id: int) -> UUID:
    """The profile of this user id."""
    return ProfileIdentity.objects.get(rule__key="user_id", value=str(user_id)).profile_id


# ---------------------------------------------------------------- running


def wait_for_horizon() -> None:
    """Return when every event may be read: the server's own housekeeping writes too, for moments."""
    with connection.cursor() as statement:
        statement.execute("select coalesce(max(xid), 0) from event")
        newest = statement.fetchone()[0]
    wait_until(lambda: cursor.read_horizon() > newest, what="all events may be read")


def deliver(*, waits: int = 0) -> None:
    """Work on subscriptions until there is nothing to do just now; `waits` times, what rests is made due."""
    wait_for_horizon()
    for left in range(waits, -1, -1):
        run_slices()
        if left:
            make_due()


def run_slices() -> None:
    """Work on what is due, whether or not every event may be read."""
    delivering.find_due()
    while delivering.work_slice():
        pass


def make_due() -> None:
    """As if enough time had passed: for work and subscriptions that rest, rows to be tried again, dead workers."""
    Work.objects.filter(state__in=UNFINISHED).update(next_at=Now(), lease_until=None)
    OutboundDelivery.objects.filter(next_at__isnull=False).update(next_at=Now())
    with connection.cursor() as statement:
        statement.execute("update outbound_delivery set sent_at = sent_at - interval '1 hour' where state = 'sent'")
        statement.execute("update outbound_cursor set rests_until = null")


def states() -> list[str]:
    """The states of all deliveries, in the order of their events."""
    return list(OutboundDelivery.objects.order_by("event_id").values_list("state", flat=True))


def seconds_until(select: str) -> float:
    """How far ahead of now a time lies."""
    with connection.cursor() as statement:
        statement.execute(f"select extract(epoch from ({select}) - clock_timestamp())::float")
        return float(statement.fetchone()[0])
