"""Dry runs, the guard and sending exactly a plan, by workers that are killed: nothing leaves that nobody decided on.

The kills come at random points; a test that fails shows its seed, and FAULT_SEED repeats it.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from core.accounts.actors import SYSTEM
from schedules import again, plans, runs, schedules_store
from schedules.again import Selection
from schedules.models import Run, RunState
from tests.faults.conftest import make_database
from tests.faults.product import Product
from tests.faults.shop import SETTLED_WITHIN, Shop, check_nothing_is_stuck, count_of, run_sql
from tests.waiting import wait_until

CUSTOMERS = 6000
_HALF_LEAVE = (
    "update customers set age = 20, country = 'US', updated_at = timestamptz '2026-06-01' + id * interval '1 s'"
)


@pytest.fixture
def shop(product: Product) -> Shop:
    """Everyone is imported; the export waits for a person."""
    for name in ("shop", "destination"):
        make_database(product.servers, name)
    source, destination = (product.servers.places.database_url_of(name) for name in ("shop", "destination"))
    shop = Shop(source, destination, customers=CUSTOMERS)
    shop.set_up()
    by_hand = replace(schedules_store.read_data(shop.export), after_changes=False, guard_share=None)
    schedules_store.update_schedule(shop.export.pk, by_hand, actor=SYSTEM)
    return shop


def test_what_is_looked_at_is_what_is_sent_whoever_dies_in_between(
    product: Product, shop: Shop, chance: Random
) -> None:
    product.start_beat()
    [worker] = product.start_workers(1)
    wait_for(shop.start_import(), RunState.COMPLETE)

    looked = plans.start(shop.export.pk, actor=SYSTEM)
    wait_until(lambda: is_begun(looked), what="the dry run began", within=SETTLED_WITHIN)
    product.kill(worker)
    [worker] = product.start_workers(1)
    wait_for(looked, RunState.COMPLETE)
    people = shop.people()
    wanted = sum(shop.is_exported(person) for person in people)
    assert plans.find(looked.pk).created == wanted
    assert run_sql(shop.destination, "select to_regclass('people')") == [(None,)], "nothing has left"

    sent = plans.send(looked.pk, actor=SYSTEM)
    share = chance.uniform(0.1, 0.8)
    wait_until(lambda: count_of("export", "created") > share * wanted, what="some are there", within=SETTLED_WITHIN)
    product.kill(worker)
    [worker] = product.start_workers(1)
    wait_for(sent, RunState.COMPLETE)
    shop.check_destination(people)
    check_nothing_is_stuck()

    # Most of them leave their groups: the guard stops that, also when the worker dies over it.
    run_sql(shop.source, _HALF_LEAVE + f" where id % 5 <> {chance.randrange(5)}")
    wait_for(shop.start_import(), RunState.COMPLETE)
    run = runs.start_run(shop.export.pk, trigger="person:1", actor=SYSTEM)
    wait_until(lambda: is_begun(run), what="the run began", within=SETTLED_WITHIN)
    product.kill(worker)
    product.start_workers(1)
    wait_for(run, RunState.STOPPED)
    shop.check_destination(people)
    plan = plans.find(run.pk)
    assert plan.removed > 0.2 * plan.held
    wait_for(plans.send(run.pk, actor=SYSTEM), RunState.COMPLETE)
    shop.check_destination(shop.people())
    check_nothing_is_stuck()


def test_everything_is_sent_again_to_a_table_that_was_lost_though_a_worker_dies(
    product: Product, shop: Shop, chance: Random
) -> None:
    product.start_beat()
    [worker] = product.start_workers(1)
    wait_for(shop.start_import(), RunState.COMPLETE)
    wait_for(runs.start_run(shop.export.pk, trigger="person:1", actor=SYSTEM), RunState.COMPLETE)
    people = shop.people()
    run_sql(shop.destination, "truncate people")
    run = again.start(shop.export.pk, Selection(everything=True), actor=SYSTEM)
    share = chance.uniform(0.0, 0.8)
    wait_until(lambda: held(shop) > share * 1000, what="some are there again", within=SETTLED_WITHIN)
    product.kill(worker)
    product.start_workers(1)
    wait_for(run, RunState.COMPLETE)
    shop.check_destination(people)
    check_nothing_is_stuck()


def is_begun(run: Run) -> bool:
    return Run.objects.values_list("state", flat=True).get(pk=run.pk) != RunState.PENDING


def wait_for(run: Run, state: RunState) -> None:
    def has_ended() -> bool:
        return Run.objects.values_list("state", flat=True).get(pk=run.pk) not in runs.UNFINISHED

    wait_until(has_ended, what=f"run {run.pk} has ended", within=SETTLED_WITHIN)
    run.refresh_from_db()
    assert run.state == state, run.error


def held(shop: Shop) -> int:
    [(count,)] = run_sql(shop.destination, "select count(*) from people")
    return int(count)
