"""Subscriptions to events on servers that a test may break: people who leave carts, and what must have arrived.

The receivers run in the test's process, so what they hold survives the death of the product's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import OperationalError, connection

from apps_connectors import apps_store
from core.accounts.actors import SYSTEM
from plugins.mailchimp.standin.server import Standin
from profiles.rules import NewRule, create_rule
from schedules.outbound.bodies import SubscriptionData
from schedules.outbound.models import DeliveryState, OutboundDelivery, Subscription
from schedules.outbound.subscriptions import create_subscription
from tests.pipeline.people import event, take
from tests.plugins.mailchimp.conftest import LIST, options_for
from tests.plugins.mailchimp.exports import put_member
from tests.receiver import Receiver
from tests.waiting import wait_until

NAMES = ("Alice", "Bob", "Charlie")
PEOPLE, AT_ONCE = 40, 200
DELIVERED_WITHIN = 60.0


@dataclass
class Outbox:
    """What the product is set up to send, and what was left."""

    bodies: list[dict[str, Any]] = field(default_factory=list)  # that every receiver should hold, in order

    def set_up(self) -> None:
        """Who is known, and by what."""
        create_rule(NewRule("user_id", "integer", is_unique=True, identity_rank=1), actor=SYSTEM)
        create_rule(NewRule("email", "email", is_unique=True, identity_rank=2), actor=SYSTEM)
        create_rule(NewRule("first_name", "string"), actor=SYSTEM)
        take(*(event(make_person(number)) for number in range(PEOPLE)))

    def subscribe_webhook(self, name: str, receiver: Receiver) -> Subscription:
        """The carts, to a receiver of webhooks."""
        options = {"url": receiver.url, "secret": receiver.secret, "timeout": 1}
        return subscribe(name, apps_store.create_app("webhook", name, options, actor=SYSTEM).pk)

    def subscribe_mailchimp(self, standin: Standin) -> Subscription:
        """The carts, to an audience that has everyone."""
        standin.store.add_list(LIST, "Newsletter")
        for number in range(PEOPLE):
            put_member(standin, make_person(number)["email"])
        options = options_for(standin)
        return subscribe("Mailchimp", apps_store.create_app("mailchimp", "Mailchimp", options, actor=SYSTEM).pk)

    def leave_carts(self, count: int) -> None:
        """Process this many more events, everyone's in turn."""
        first = len(self.bodies)
        for start in range(first, first + count, AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, first + count))
            carts = [{"user_id": number % PEOPLE, "cart": number, "items": ["red shirt"]} for number in numbers]
            take(*(event(cart, type="cart") for cart in carts))
            self.bodies += [make_body(cart) for cart in carts]

    def wait_until_delivered(self, subscriptions: int = 1) -> None:
        """Until each of so many subscriptions has sent everything."""
        wait_until(
            lambda: count_ended() == subscriptions * len(self.bodies),
            what="everything is delivered",
            within=DELIVERED_WITHIN,
        )

    def check_arrived(self, bodies: Sequence[Mapping[str, Any]]) -> None:
        """These bodies are what should be held, and each person's came in order."""
        assert sorted(bodies, key=lambda body: body["cart"]) == self.bodies
        check_order([body["cart"] for body in bodies])

    def check_ledger(self) -> None:
        """Everything was taken, and nothing waits."""
        rows = OutboundDelivery.objects.all()
        assert set(rows.values_list("state", flat=True)) == {DeliveryState.ACCEPTED}
        assert not rows.filter(next_at__isnull=False).exists()


def check_order(carts: Sequence[int]) -> None:
    """Of each person the carts came in the order in which they were left."""
    for person in range(PEOPLE):
        own = [cart for cart in carts if cart % PEOPLE == person]
        assert own == sorted(own), person


def make_person(number: int) -> dict[str, Any]:
    """Someone the product knows."""
    return {"user_id": number, "email": f"person{number}@example.com", "first_name": NAMES[number % 3]}


def make_body(cart: Mapping[str, Any]) -> dict[str, Any]:
    """What should arrive for a cart."""
    person = make_person(cart["user_id"])
    profile = {key: person[key] for key in ("user_id", "first_name", "email")}
    return {**{key: value for key, value in cart.items() if key != "user_id"}, "profile": profile}


def subscribe(name: str, app_id: int) -> Subscription:
    """The carts, with first name and email."""
    data = SubscriptionData(name=name, app_id=app_id, match="type", value="cart", properties=("first_name", "email"))
    return create_subscription(data, actor=SYSTEM)


def count_ended() -> int:
    """How many deliveries have ended; 0 while the database is away."""
    try:
        return OutboundDelivery.objects.filter(next_at__isnull=True).count()
    except OperationalError:
        connection.close()
        return 0
