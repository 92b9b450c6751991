"""Whatever is killed, emptied or restarted in mid-run: the work goes on, and everything equals plain SQL in the end.

Every fault comes at a random point of the work; a test that fails shows its seed and what the processes wrote.
FAULT_SEED repeats it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from core.accounts.actors import SYSTEM
from profiles import rules
from profiles.models import ProfilePropertyRule
from schedules import runs
from schedules.models import Run, RunState
from tests.faults.door import Senders
from tests.faults.product import Product, wait_for
from tests.faults.shop import Shop, run_sql
from tests.waiting import wait_until


@dataclass
class Running:
    """The ids of the product's processes."""

    workers: list[int]
    beat: int


@pytest.fixture
def running(product: Product, shop: Shop) -> Running:
    """A worker of two processes and beat, and an import that has begun."""
    return start(product, shop, workers=1, processes=2)


@pytest.fixture
def two_workers(product: Product, shop: Shop) -> Running:
    """Two workers of one process each and beat, and an import that has begun."""
    return start(product, shop, workers=2, processes=1)


def start(product: Product, shop: Shop, *, workers: int, processes: int) -> Running:
    beat = product.start_beat()
    started = Running(product.start_workers(workers, processes=processes), beat)
    shop.start_import()
    return started


def settle(shop: Shop) -> None:
    shop.wait_until_settled()
    shop.check()


def test_workers_killed_in_turn_during_an_import_cost_nothing(
    product: Product, shop: Shop, two_workers: Running, chance: random.Random
) -> None:
    for worker, share in zip(two_workers.workers, sorted(chance.uniform(0.1, 0.8) for _ in range(2)), strict=True):
        shop.wait_for_rows(share)
        product.kill(worker)
        product.start_workers(1)
    settle(shop)


def test_one_process_of_a_worker_killed_again_and_again_costs_nothing(
    product: Product, shop: Shop, running: Running, chance: random.Random
) -> None:
    for share in sorted(chance.uniform(0.0, 0.9) for _ in range(3)):
        shop.wait_for_rows(share)
        product.kill_one_child(running.workers[0])
    settle(shop)


def test_workers_killed_in_turn_during_an_export_send_everything_once(
    product: Product, shop: Shop, two_workers: Running, chance: random.Random
) -> None:
    for worker, share in zip(two_workers.workers, sorted(chance.uniform(0.05, 0.5) for _ in range(2)), strict=True):
        shop.wait_for_exported(share)
        product.kill(worker)
        product.start_workers(1)
    settle(shop)


def test_beat_killed_is_missed_by_nobody_once_another_one_runs(
    product: Product, shop: Shop, running: Running, chance: random.Random
) -> None:
    shop.wait_for_rows(chance.uniform(0.0, 0.5))
    product.kill(running.beat)
    shop.wait_for_rows(chance.uniform(0.5, 0.9))
    product.start_beat()
    product.start_beat()  # any number of them may run
    settle(shop)


def test_valkey_emptied_forgets_no_work(product: Product, shop: Shop, running: Running, chance: random.Random) -> None:
    for share in sorted(chance.uniform(0.0, 0.9) for _ in range(3)):
        shop.wait_for_rows(share)
        product.flush_valkey()
    settle(shop)


def test_valkey_away_for_seconds_stops_nothing_for_good(
    product: Product, shop: Shop, running: Running, chance: random.Random
) -> None:
    shop.wait_for_rows(chance.uniform(0.1, 0.8))
    product.servers.stop_server("valkey")
    wait_for(chance.uniform(0.5, 3.0))
    product.servers.start_server("valkey")
    settle(shop)
    assert product.is_running(running.workers[0])  # nobody starts it again here
    assert product.is_running(running.beat)


def test_postgres_restarted_in_the_middle_stops_nothing_for_good(
    product: Product, shop: Shop, running: Running, chance: random.Random
) -> None:
    shop.wait_for_rows(chance.uniform(0.1, 0.8))
    product.restart_postgres(pause=chance.uniform(0.0, 1.5))
    settle(shop)


def test_a_table_that_vanishes_in_the_middle_is_named_and_the_run_goes_on_when_it_is_back(
    product: Product, shop: Shop, running: Running, chance: random.Random
) -> None:
    shop.wait_for_rows(chance.uniform(0.1, 0.6))
    run_sql(shop.source, "alter table customers rename to customers_gone")
    wait_until(lambda: last_import().state == RunState.FAILED, what="the run has failed", within=40)
    assert "customers" in last_import().error
    taken = last_import().counters["events"]
    assert 0 < taken < shop.customers
    run_sql(shop.source, "alter table customers_gone rename to customers")
    runs.retry_run(last_import().pk, actor=SYSTEM)
    resume_paused_rules()
    settle(shop)
    assert last_import().counters["events"] == shop.customers - taken  # what was taken was not read again


def test_a_column_that_vanishes_in_the_middle_pauses_its_property_and_changes_no_value(
    product: Product, shop: Shop, running: Running, chance: random.Random
) -> None:
    shop.wait_for_rows(chance.uniform(0.1, 0.6))
    run_sql(shop.source, "alter table purchases rename total to sum_total")
    wait_until(lambda: last_import().state == RunState.COMPLETE, what="the import is complete", within=40)
    paused = ProfilePropertyRule.objects.get(key="ltv")
    assert "total" in paused.paused_reason
    run_sql(shop.source, "alter table purchases rename sum_total to total")
    resume_paused_rules()
    settle(shop)


def test_a_web_server_killed_again_and_again_loses_no_event_that_it_accepted(
    product: Product, chance: random.Random
) -> None:
    """Programs send what was not answered again: each event is there once in the end, and processed once."""
    senders, web = Senders(chance), product.start_web()
    product.start_beat()
    product.start_workers(1)
    with senders.send(product.port):
        for share in sorted(chance.uniform(0.02, 0.9) for _ in range(2)):
            senders.wait_for_accepted(share)
            wait_for(chance.uniform(0.0, 0.02))
            product.kill(web)
            web = product.start_web()
    assert senders.sent_again > 0
    wait_until(senders.are_processed, what="every event is processed", within=40)
    senders.check()


def last_import() -> Run:
    return Run.objects.filter(direction="import").latest("pk")


def resume_paused_rules() -> None:
    """What a person does after mending the source."""
    for rule in ProfilePropertyRule.objects.exclude(paused_reason=""):
        rules.resume_rule(rule, actor=SYSTEM)
