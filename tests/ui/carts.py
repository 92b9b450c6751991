"""A shop whose abandoned carts go out to a webhook: rules, groups, people, a receiver, subscriptions in every state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps_connectors import apps_store
from apps_connectors.models import App
from core.accounts.actors import SYSTEM
from groups.models import Group, GroupKind
from profiles.models import Profile
from schedules.outbound import replays, subscriptions
from schedules.outbound.bodies import SubscriptionData
from schedules.outbound.models import OutboundDelivery, Subscription
from schedules.outbound.queries import Wanted
from schedules.outbound.replays import AGAIN
from tests.pipeline.people import event, take
from tests.receiver import Receiver, answer
from tests.schedules.destinations import move_member
from tests.schedules.outbound.world import deliver, make_rules, person

RED = {"key": "cart_items", "type": "text", "operator": "contains", "value": "red"}
KNOWN = {
    "match": "all",
    "rules": [
        {"property": "first_name", "operator": "does_not_equal", "value": "Bob", "include_null": False},
        {"match": "any", "rules": [{"profile": "created_at", "operator": "after", "value": "2020-01-01"}]},
    ],
}


@dataclass
class Carts:
    """What was made."""

    app: App
    receiver: Receiver
    group: Group

    def leave(self, user_id: int = 3, **more: Any) -> None:
        """Someone leaves a cart with a red shirt, as the story tells it."""
        payload = {"user_id": user_id, "cart_abandoned_at": "Jan 5, 2019", "cart_items": ["red shirt"], **more}
        take(event(payload, type="cart_abandoned"))

    def subscribe(self, name: str, **more: Any) -> Subscription:
        """Abandoned carts, with first name and email."""
        given: dict[str, Any] = {"match": "type", "value": "cart_abandoned", "properties": ("first_name", "email")}
        data = SubscriptionData(**{"name": name, "app_id": self.app.pk, **given, **more})
        return subscriptions.create_subscription(data, actor=SYSTEM)


def make_carts(receiver: Receiver) -> Carts:
    """Rules, a group with Alice in it, and a webhook that leads to the receiver."""
    make_rules()
    group = Group.objects.create(name="Lapsed customers", kind=GroupKind.MANUAL)
    app = apps_store.create_app("webhook", "Shop", {"url": receiver.url, "secret": receiver.secret}, actor=SYSTEM)
    alice = {"user_id": 3, "email": "alice@example.com", "first_name": "Alice"}
    bob = {"user_id": 4, "email": "bob@example.com", "first_name": "Bob"}
    take(event(alice, type="signed_up"), event(bob, type="signed_up"))
    move_member(person(3), group.pk, joined=True)
    return Carts(app, receiver, group)


def make_every_state(carts: Carts) -> dict[str, str]:
    """Subscriptions and deliveries in each state; the addresses of their pages by name."""
    gone = carts.subscribe("Old system", match="key", value="cart_items")
    carts.receiver.always = answer(410)
    carts.leave(4, cart_items=["blue hat"])
    deliver()
    bad = carts.subscribe("Everything, refused", match="every", value="")
    carts.receiver.always = answer(400, body=b"cart_items: too long")
    carts.leave(3)
    deliver()
    carts.receiver.always = answer(500, body=b"Oh no")
    carts.leave(4)
    deliver()
    good = carts.subscribe("Cart reminder", groups=(carts.group.pk,), where=(RED,), people=KNOWN)
    carts.receiver.always = answer(200, body=b"Thanks")
    carts.leave(3)
    deliver()
    replays.start(good.pk, AGAIN, Wanted(), actor=SYSTEM)
    still = subscriptions.pause_subscription(carts.subscribe("Paused by us").pk, actor=SYSTEM)
    ledger = OutboundDelivery.objects.order_by("event_id", "subscription_id")
    alice = Profile.objects.get(pk=person(3))
    pages = {"list": "", "new": f"new/{carts.app.pk}/"}
    for each in (good, bad, gone, still):
        pages[each.name] = f"{each.pk}/"
    pages |= {"edit": f"{good.pk}/edit/", "skip": f"{gone.pk}/skip/"}
    pages |= {"JSON": f"{good.pk}/json/", "nothing fits": f"{good.pk}/?state=skipped"}
    pages |= {"choosing": f"{bad.pk}/?choose=1&person=alice", "again": f"{bad.pk}/again/?state=rejected"}
    pages |= {"past": f"{good.pk}/past/"}
    pages |= {f"delivery {each.state}": f"deliveries/{each.public_id}/" for each in ledger}
    event_id = ledger.filter(subscription_id=good.pk)[0].event_id
    return {name: f"/outbound-events/{path}" for name, path in pages.items()} | {
        "event": f"/events/{event_id}/",
        "App": f"/apps/{carts.app.pk}/",
        "profile": f"/profiles/{alice.pk}/",
        "home": "/",
    }
