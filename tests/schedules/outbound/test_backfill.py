"""Events that go out long after they happened are marked, so that a tool starts nothing because of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from django.utils import timezone

from tests.pipeline.people import take
from tests.schedules.outbound.world import World, cart, deliver


def test_only_what_happened_long_ago_is_a_backfill(world: World) -> None:
    world.subscribe()
    for number, days in enumerate((0, 29, 31, 400)):
        take(replace(cart(1, number=number), occurred_at=timezone.now() - timedelta(days=days)))
    deliver()
    assert [(item.body["number"], item.is_backfill) for item in world.box.taken] == [
        (0, False),
        (1, False),
        (2, True),
        (3, True),
    ]
