"""No more calls to an App at the same time than it allows, over all workers."""

from __future__ import annotations

import pytest
from django.utils import timezone

from apps_connectors import slots
from apps_connectors.models import App, AppSlot
from apps_connectors.slots import slot
from schedules.models import RunState
from tests.schedules.destinations import Memory, export, make_due, make_world, start, work

pytestmark = pytest.mark.django_db(transaction=True)


def test_only_as_many_calls_as_the_app_allows() -> None:
    app = App.objects.create(name="Tool", type="memory", parallel_calls=2)
    with slot(app.pk) as first, slot(app.pk) as second:
        assert first
        assert second
        with slot(app.pk) as third:
            assert not third
    with slot(app.pk) as again:
        assert again


def test_each_app_has_its_own() -> None:
    one, two = (App.objects.create(name=name, type="memory", parallel_calls=1) for name in ("One", "Two"))
    with slot(one.pk) as first, slot(two.pk) as second:
        assert first
        assert second


def test_a_call_of_a_worker_that_died_comes_back_after_its_lease() -> None:
    app = App.objects.create(name="Tool", type="memory", parallel_calls=1)
    with slot(app.pk):
        AppSlot.objects.update(lease_until=timezone.now())
        with slot(app.pk) as taken_over:
            assert taken_over
        AppSlot.objects.update(lease_until=timezone.now())


def test_more_or_fewer_calls_count_at_once() -> None:
    app = App.objects.create(name="Tool", type="memory", parallel_calls=1)
    with slot(app.pk):
        App.objects.update(parallel_calls=2)
        with slot(app.pk) as second:
            assert second
        App.objects.update(parallel_calls=1)
        with slot(app.pk) as none_left:
            assert not none_left


def test_an_app_that_takes_long_gets_one_call_at_a_time_until_it_is_quick_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = App.objects.create(name="Tool", type="memory", parallel_calls=3)
    with monkeypatch.context() as patched:
        patched.setattr(slots, "SLOW_SECONDS", -1.0)
        with slot(app.pk):
            pass
    with slot(app.pk) as first:
        assert first
        with slot(app.pk) as second:
            assert not second
    with slot(app.pk) as first, slot(app.pk) as second:
        assert first
        assert second


def test_an_error_gives_the_call_back() -> None:
    app = App.objects.create(name="Tool", type="memory", parallel_calls=1)
    with pytest.raises(ZeroDivisionError), slot(app.pk):
        raise ZeroDivisionError
    assert not AppSlot.objects.exclude(token=None).exists()


def test_an_export_waits_for_a_call_that_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(monkeypatch)
    App.objects.update(parallel_calls=1)
    world.people({"email": "alice@example.com"})
    run = start(world.export())
    with slot(world.app.pk):
        work(run)
        assert run.state == RunState.RUNNING
        assert Memory.shelves["people"].sent == 0
    make_due()
    assert work(run).state == RunState.COMPLETE
    assert Memory.shelves["people"].sent == 1
    assert not export(run.schedule).counters.get("sent")
