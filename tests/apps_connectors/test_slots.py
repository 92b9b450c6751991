"""Slots: how many calls may be made to an App at the same time, over all workers."""

from __future__ import annotations

import pytest
from django.db import connection

from apps_connectors.models import App, AppSlot
from apps_connectors.slots import slot, slots

pytestmark = pytest.mark.django_db(transaction=True)


def make_app(calls: int) -> App:
    return App.objects.create(name="Tool", type="webhook", parallel_calls=calls)


def test_several_are_taken_at_once_as_many_as_are_free() -> None:
    app = make_app(4)
    with slots(app.pk, most=3) as first, slots(app.pk, most=3) as second, slots(app.pk, most=3) as third:
        assert (first, second, third) == (3, 1, 0)
        with slot(app.pk) as is_free:
            assert not is_free
    with slots(app.pk, most=9) as all_of_them:
        assert all_of_them == 4
    assert not AppSlot.objects.exclude(token=None).exists()


def test_a_dead_worker_s_slots_are_free_again_after_their_time() -> None:
    app = make_app(2)
    with slots(app.pk, most=2, seconds=60), connection.cursor() as cursor:
        cursor.execute("update app_slot set lease_until = clock_timestamp() - interval '1 second'")
        with slots(app.pk, most=2) as taken:
            assert taken == 2
