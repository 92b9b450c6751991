"""Outbound events while receivers misbehave and workers are killed: everyone ends with exactly what they should hold.

The kills come at random points; a test that fails shows its seed, and FAULT_SEED repeats it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest

from plugins.mailchimp.standin.server import Misbehaviour, run_standin
from schedules.outbound.deliveries import MAYBE_TWICE
from schedules.outbound.models import OutboundDelivery
from tests.faults.outbox import DELIVERED_WITHIN, Outbox
from tests.faults.product import Product
from tests.plugins.mailchimp.conftest import LIST
from tests.receiver import Behaviour, Receiver, answer, be_slow, cut, garbage, run_receiver
from tests.waiting import wait_until


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as running:
        yield running


@pytest.fixture
def outbox(product: Product) -> Outbox:
    """People the product knows; nobody has subscribed to anything."""
    outbox = Outbox()
    outbox.set_up()
    return outbox


def test_two_workers_at_once_send_each_event_once_to_each_of_four_receivers(product: Product, outbox: Outbox) -> None:
    with ExitStack() as stack:
        receivers = [stack.enter_context(run_receiver()) for _ in range(4)]
        for number, receiver in enumerate(receivers):
            outbox.subscribe_webhook(f"Hook {number}", receiver)
        product.start_beat()
        product.start_workers(2)
        outbox.leave_carts(800)
        outbox.wait_until_delivered(subscriptions=4)
        for receiver in receivers:
            assert set(receiver.times_accepted.values()) == {1}
            assert len(receiver.deliveries) == 800
            outbox.check_arrived([each.json for each in receiver.deliveries])
    outbox.check_ledger()


def test_a_worker_killed_twice_in_mid_delivery_leaves_a_misbehaving_receiver_with_what_it_should_hold(
    product: Product, outbox: Outbox, receiver: Receiver, chance: Random
) -> None:
    """A repetition has the id and the body of the first time, so a receiver that looks at ids holds each event once."""
    outbox.subscribe_webhook("Hook", receiver)
    receiver.always = Behaviour(wait=0.004)
    product.start_beat()
    [worker] = product.start_workers(1)
    outbox.leave_carts(800)
    for share in sorted(chance.uniform(0.02, 0.8) for _ in range(2)):
        receiver.expect(*chance.sample(misbehaviours(), 3))
        wait_for_arrived(receiver, share * 800)
        product.kill(worker)
        [worker] = product.start_workers(1)
    outbox.wait_until_delivered()
    outbox.check_arrived(list(receiver.accepted.values()))
    assert all(each.signed for each in receiver.deliveries)
    bodies: dict[str, set[bytes]] = {}
    for each in receiver.deliveries:
        bodies.setdefault(each.id, set()).add(each.body)
    assert all(len(same) == 1 for same in bodies.values())
    assert not OutboundDelivery.objects.exclude(warning="").exists(), "the receiver can tell repetitions"
    outbox.check_ledger()


def test_a_worker_killed_while_it_sends_to_mailchimp_loses_nothing_and_says_what_may_be_there_twice(
    product: Product, outbox: Outbox, tmp_path: Path, chance: Random
) -> None:
    with run_standin(tmp_path / "mailchimp.sqlite") as standin:
        made = outbox.subscribe_mailchimp(standin)
        standin.expect(Misbehaviour("throttle", after=1), Misbehaviour("error"), Misbehaviour("garbage"))
        product.start_beat()
        [worker] = product.start_workers(1)
        outbox.leave_carts(600)
        share = chance.uniform(0.1, 0.7)
        wait_until(lambda: standin.store.count_events(LIST) > share * 600, what="some arrived", within=DELIVERED_WITHIN)
        product.kill(worker)
        product.start_workers(1)
        outbox.wait_until_delivered()
        arrived = [read(row["body"]["properties"]) for row in standin.store.events(LIST, limit=10_000)]
    outbox.check_arrived(list({body["cart"]: body for body in arrived}.values()))
    warned = OutboundDelivery.objects.filter(subscription_id=made.pk, warning=MAYBE_TWICE)
    twice = {cart for cart, times in Counter(body["cart"] for body in arrived).items() if times > 1}
    assert twice <= {each.body["cart"] for each in warned if each.body}
    assert len(warned) <= 200, "no more than was under way"
    outbox.check_ledger()


def misbehaviours() -> list[Behaviour]:
    """What receivers do on bad days."""
    return [answer(500), garbage(), cut(), answer(429, headers={"Retry-After": "1"}), answer(503), be_slow(2)]


def wait_for_arrived(receiver: Receiver, count: float) -> None:
    wait_until(lambda: len(receiver.accepted) >= count, what="some arrived", within=DELIVERED_WITHIN)


def read(properties: dict[str, str]) -> dict[str, Any]:
    """A member event's properties as the body they were made of."""
    return {key: json.loads(value) for key, value in properties.items()}
