"""An export to a Mailchimp that misbehaves, by workers that are killed: it ends with the members it should hold.

The stand-in runs in the test's process, so what it holds survives the death of the product's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from apps_connectors import apps_store
from core.accounts.actors import SYSTEM
from plugins.mailchimp.standin.server import Misbehaviour, Standin, merge_fields, run_standin
from schedules import schedules_store
from schedules.schedules_store import ScheduleData
from tests.faults.conftest import make_database
from tests.faults.product import Product
from tests.faults.shop import SETTLED_WITHIN, Shop, is_member
from tests.plugins.mailchimp.conftest import LIST, options_for
from tests.waiting import wait_until

CUSTOMERS = 2000

# What a tool does on bad days, each met by whichever call comes next. The export waits longer after each in a row, so a
# test meets few.
BAD_DAYS = (
    Misbehaviour("throttle", after=1),
    Misbehaviour("bare429"),
    Misbehaviour("bare403"),
    Misbehaviour("error"),
    Misbehaviour("blocked"),
    Misbehaviour("garbage"),
    Misbehaviour("cut"),
    Misbehaviour("cut_after"),
    Misbehaviour("slow", seconds=2),
)


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[Standin]:
    with run_standin(tmp_path / "mailchimp.sqlite") as running:
        running.store.add_list(LIST, "Customers", merge_fields(FNAME="text"))
        yield running


@pytest.fixture
def shop(product: Product, standin: Standin) -> Shop:
    """A small shop whose groups go to Mailchimp as well."""
    servers = product.servers
    for name in ("shop", "destination"):
        make_database(servers, name)
    source, destination = (servers.places.database_url_of(name) for name in ("shop", "destination"))
    shop = Shop(source, destination, customers=CUSTOMERS)
    shop.set_up()
    app = apps_store.create_app("mailchimp", "Mailchimp", options_for(standin), actor=SYSTEM)
    data = ScheduleData(
        direction="export",
        name="Mailchimp",
        app_id=app.pk,
        options={"key_field": "email_address"},
        fields={"email_address": "email", "FNAME": "first_name"},
        groups={group.pk: name for name, group in shop.groups.items()},
        after_changes=True,
        guard_share=1.0,
    )
    schedules_store.create_schedule(data, actor=SYSTEM)
    return shop


def test_bad_days_and_a_killed_worker_leave_exactly_the_members_that_should_be_there(
    product: Product, shop: Shop, standin: Standin, chance: Random
) -> None:
    wanted = expected_members(shop)
    product.start_beat()
    workers = product.start_workers(2)
    standin.expect(*chance.sample(BAD_DAYS, 2))
    shop.start_import()
    share = chance.uniform(0.05, 0.7)
    wait_until(
        lambda: count_members(standin) > share * len(wanted), what="some members are there", within=SETTLED_WITHIN
    )
    product.kill(workers[0])
    standin.expect(*chance.sample(BAD_DAYS, 2))
    product.start_workers(1)
    wait_until(lambda: held_members(standin) == wanted, what="everyone is as they should be", within=SETTLED_WITHIN)
    shop.wait_until_settled()
    assert held_members(standin) == wanted
    assert standin.state()["parallel"] == {}, "two calls for one member at a time"
    assert standin.most_at_once <= 10


def expected_members(shop: Shop) -> dict[str, tuple[str, list[str]]]:
    """First name and tags by email, as plain SQL on the source says."""
    groups = {
        person["email"]: (person["first_name"], sorted(name for name in shop.groups if is_member(name, person)))
        for person in shop.people()
    }
    return {email: (name, tags) for email, (name, tags) in groups.items() if tags}


def held_members(standin: Standin) -> dict[str, tuple[str, list[str]]]:
    """What Mailchimp holds of its subscribed members."""
    members, _ = standin.store.members(LIST, status="subscribed", limit=CUSTOMERS)
    return {
        row["email"]: (
            row["merge_fields"].get("FNAME"),
            sorted(tag["name"] for tag in standin.store.tags(LIST, row["hash"])),
        )
        for row in members
    }


def count_members(standin: Standin) -> int:
    return standin.store.members(LIST, limit=1)[1]
