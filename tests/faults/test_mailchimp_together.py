"""Everything at once to one Mailchimp: exports, outbound events, imports and rules, by workers of their own.

The stand-in counts the calls that are under way at the same time, in all and for each member, and refuses the eleventh.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from apps_connectors import apps_store, samples
from apps_connectors.models import App
from core.accounts.actors import SYSTEM
from plugins.mailchimp.standin.server import Misbehaviour, Standin, merge_fields, run_standin
from profiles.models import Profile
from profiles.rules import NewRule, create_rule
from schedules import runs, schedules_store
from schedules.models import Run, RunState, Schedule
from schedules.outbound.bodies import SubscriptionData
from schedules.outbound.models import DeliveryState, OutboundDelivery
from schedules.outbound.subscriptions import create_subscription
from schedules.schedules_store import ScheduleData
from tests.faults.conftest import make_database
from tests.faults.product import Product
from tests.faults.shop import Shop
from tests.faults.test_mailchimp_faults import expected_members, held_members
from tests.pipeline.people import event, take
from tests.plugins.mailchimp.conftest import LIST, options_for
from tests.waiting import wait_until

CUSTOMERS = 600
SLOW = Misbehaviour("slow", seconds=0.03)  # every call takes a while, so that those of several workers would meet
WITHIN = 150.0


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[Standin]:
    with run_standin(tmp_path / "mailchimp.sqlite") as running:
        running.store.add_list(LIST, "Customers", merge_fields(FNAME="text"))
        running.expect(*[SLOW] * 30_000)
        yield running


@dataclass
class Everything:
    """One App for all that goes to Mailchimp and comes from it."""

    shop: Shop
    app: App
    back: Schedule

    def let_everyone_call(self) -> None:
        """What goes on beside the shop's import: members come back, a person is asked for, someone looks at a page."""
        if not Run.objects.filter(schedule=self.back, state__in=runs.UNFINISHED).exists():
            runs.start_run(self.back.pk, trigger="test", actor=SYSTEM)
        if user_id := Profile.objects.order_by("?").values_list("properties__user_id", flat=True).first():
            take(event({"user_id": user_id}))
        samples.sample_table(self.app.pk, LIST)


@pytest.fixture
def everything(product: Product, standin: Standin) -> Everything:
    servers = product.servers
    for name in ("shop", "destination"):
        make_database(servers, name)
    source, destination = (servers.places.database_url_of(name) for name in ("shop", "destination"))
    shop = Shop(source, destination, customers=CUSTOMERS)
    shop.set_up()
    app = apps_store.create_app("mailchimp", "Mailchimp", options_for(standin), actor=SYSTEM)
    column = {"table": LIST, "column": "status", "key_column": "email_address"}
    create_rule(NewRule("mailchimp_status", "string", app=app, column=column, column_key="email"), actor=SYSTEM)
    groups = {group.pk: name for name, group in shop.groups.items()}
    out = ScheduleData(
        direction="export",
        name="To Mailchimp",
        app_id=app.pk,
        options={"key_field": "email_address"},
        fields={"email_address": "email", "FNAME": "first_name"},
        groups=groups,
        after_changes=True,
    )
    schedules_store.create_schedule(out, actor=SYSTEM)
    options = {"table": LIST, "changed_column": "last_changed", "id_column": "email_address", "may_create": False}
    back = ScheduleData("import", "Back", app.pk, options=options, fields={"email_address": "email"})
    carts = SubscriptionData("Customers", app.pk, "type", "customers", groups=tuple(groups), properties=("email",))
    create_subscription(carts, actor=SYSTEM)
    return Everything(shop, app, schedules_store.create_schedule(back, actor=SYSTEM))


def test_four_workers_make_at_most_ten_calls_at_once_and_never_two_for_one_member(
    product: Product, everything: Everything, standin: Standin
) -> None:
    shop = everything.shop
    wanted = expected_members(shop)
    names = dict.fromkeys(wanted, "subscribed")
    product.start_beat()
    product.start_workers(4)
    shop.start_import()

    def is_done() -> bool:
        everything.let_everyone_call()
        accepted = OutboundDelivery.objects.filter(state=DeliveryState.ACCEPTED).count()
        return held_members(standin) == wanted and accepted == len(wanted) and statuses() == names

    wait_until(is_done, what="everyone is at Mailchimp, got their event, and came back", within=WITHIN)
    assert standin.state()["parallel"] == {}, "two calls for one member at a time"
    assert 2 < standin.most_at_once <= 10
    for kind in (f"POST /lists/{LIST}", "/events", f"GET /lists/{LIST}/members", f"GET /lists/{LIST}/members/"):
        assert sum(kind in call for call in standin.calls) > 5, kind
    assert Run.objects.filter(schedule=everything.back, state=RunState.COMPLETE).count() > 2


def statuses() -> dict[str, str]:
    """What came back, by address."""
    found = Profile.objects.filter(properties__has_key="mailchimp_status").values_list("properties", flat=True)
    return {values["email"]: values["mailchimp_status"] for values in found}
