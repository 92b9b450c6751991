"""The story of the product from end to end: tables of a MySQL shop, an abandoned cart, and what the tools receive.

Every step is done by the product's own processes; the test only sets up what a person would, changes the shop, and
waits.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps_connectors import apps_store
from apps_connectors.models import App
from core.accounts.actors import SYSTEM
from groups import groups_store
from groups.models import GroupMember
from plugins.mailchimp.standin.server import Standin
from profiles.models import Profile
from profiles.rules import NewRule, create_rule
from schedules import runs, schedules_store
from schedules.models import Run, RunState
from schedules.outbound.bodies import SubscriptionData
from schedules.outbound.subscriptions import create_subscription
from schedules.schedules_store import ScheduleData
from tests.faults.product import Product
from tests.mariadb import MariaDB
from tests.receiver import Receiver
from tests.story.conftest import AUDIENCE
from tests.waiting import wait_until

pytestmark = pytest.mark.mariadb

DATABASE = "story"
WITHIN = 60.0
LONG_AGO, LATELY = (datetime.now(UTC) - timedelta(days=days) for days in (90, 20))

LTV = """
select coalesce((select sum(p.total) from purchases p where p.user_id = u.id), 0)
     - coalesce((select sum(r.total) from refunds r where r.user_id = u.id), 0) as ltv
  from users u
 where u.id = {{profile.user_id}}
"""
TABLES = (
    "create table users (id int primary key, email text, first_name text, locale text, updated_at datetime(6))",
    "create table carts (user_id int primary key, cart_abandoned_at varchar(20), cart_items json)",
    "create table purchases (id int primary key, user_id int, total decimal(10, 2), created_at datetime(6))",
    "create table refunds (id int primary key, user_id int, total decimal(10, 2), created_at datetime(6))",
)
# id, first name, locale: Evan has bought nothing, Alice bought long ago (and had something refunded), Bob lately.
PEOPLE = ((1, "Alice", "de-de"), (2, "Bob", "de-de"), (3, "Evan", "en-us"))
CART = "insert into carts values (3, 'Jan 5, 2019', '[\"red shirt\"]')"

STORY = {
    "cart_abandoned_at": "Jan 5, 2019",
    "cart_items": ["red shirt"],
    "profile": {"user_id": 3, "first_name": "Evan", "email": "evan@grouparoo.com"},
}


def test_an_abandoned_cart_reaches_the_tools_with_what_is_known_of_the_person(
    product: Product, mariadb: MariaDB, mailchimp: Standin, receiver: Receiver
) -> None:
    fill_shop(mariadb)
    schedules = set_up(mariadb, mailchimp, receiver)
    product.start_beat()
    product.start_workers(2)
    for table in ("users", "purchases", "refunds"):
        run_import(schedules[table])

    # The export follows the changes: both groups, with email, first name and their groups as tags.
    expected = {
        "alice@grouparoo.com": ("Alice", ["Lapsed customers"]),
        "evan@grouparoo.com": ("Evan", ["USA customers"]),
    }
    wait_until(lambda: members_of(mailchimp) == expected, what="the members are at Mailchimp", within=WITHIN)
    assert {values["user_id"]: values["ltv"] for values in Profile.objects.values_list("properties", flat=True)} == {
        1: 34.5,
        2: 7.5,
        3: 0,
    }

    # Evan leaves a cart, and so does Bob, who is in neither group.
    mariadb.run(DATABASE, [CART, "insert into carts values (2, 'Jan 6, 2019', '[\"belt\"]')"])
    run_import(schedules["carts"])
    wait_until(
        lambda: bool(receiver.accepted and events_of(mailchimp)), what="the event is at both tools", within=WITHIN
    )

    [(sent,)] = [receiver.accepted.values()]
    assert json.dumps(sent) == json.dumps(STORY)  # the order of the keys too
    [event] = events_of(mailchimp)
    assert event["name"] == "carts"
    properties = event["properties"]
    assert properties["cart_abandoned_at"] == STORY["cart_abandoned_at"]
    assert json.loads(properties["cart_items"]) == STORY["cart_items"]
    assert json.loads(properties["profile"]) == STORY["profile"]
    assert set(properties) == set(STORY)

    # cart_abandoned_at became a property of Evan's; cart_items has no rule and went through only.
    evan = Profile.objects.get(properties__user_id=3).properties
    assert datetime.fromisoformat(evan["cart_abandoned_at"]).date().isoformat() == "2019-01-05"
    assert "cart_items" not in evan

    # Evan buys, later Alice does too: Evan stays for his country, Alice has not lapsed any more and is archived.
    now = datetime.now(UTC).replace(tzinfo=None)
    mariadb.run(DATABASE, [f"insert into purchases values ({10 + user}, {user}, 5, '{now}')" for user in (1, 3)])
    run_import(schedules["purchases"])
    del expected["alice@grouparoo.com"]
    wait_until(lambda: members_of(mailchimp) == expected, what="who came back has left the audience", within=WITHIN)
    assert GroupMember.objects.count() == 1


# ---------------------------------------------------------------- what a person would click together


def fill_shop(mariadb: MariaDB) -> None:
    mariadb.create_database(DATABASE)
    now = datetime.now(UTC).replace(tzinfo=None)
    bought = {1: (LONG_AGO, "40.00"), 2: (LATELY, "7.50")}
    mariadb.run(
        DATABASE,
        [
            *TABLES,
            *[
                f"insert into users values ({id_}, '{name.lower()}@grouparoo.com', '{name}', '{locale}', '{now}')"
                for id_, name, locale in PEOPLE
            ],
            *[
                f"insert into purchases values ({id_}, {id_}, {total}, '{at.replace(tzinfo=None)}')"
                for id_, (at, total) in bought.items()
            ],
            f"insert into refunds values (1, 1, 5.5, '{LONG_AGO.replace(tzinfo=None)}')",
        ],
    )


def set_up(mariadb: MariaDB, mailchimp: Standin, receiver: Receiver) -> dict[str, int]:
    """Apps, property rules, groups, the export, two subscriptions; the import schedules by table."""
    options = {"host": mariadb.host, "port": mariadb.port, "user": mariadb.user, "password": mariadb.password}
    warehouse = apps_store.create_app("mysql", "MySQL-Datawarehouse", {**options, "database": DATABASE}, actor=SYSTEM)
    email_tool = apps_store.create_app(
        "mailchimp",
        "Mailchimp",
        {"api_key": mailchimp.key, "list_id": AUDIENCE, "server_url": mailchimp.url},
        actor=SYSTEM,
    )
    hook = apps_store.create_app("webhook", "Shop", {"url": receiver.url, "secret": receiver.secret}, actor=SYSTEM)
    make_rules(warehouse)
    groups = {name: make_group(name, rules) for name, rules in GROUPS.items()}
    export = make_export(email_tool, groups)
    for app, follows in ((email_tool, export), (hook, None)):
        data = SubscriptionData(
            name=f"Abandoned carts to {app.name}",
            app_id=app.pk,
            match="key",
            value="cart_abandoned_at",
            groups=() if follows else tuple(groups.values()),
            properties=() if follows else ("first_name", "email"),
            follows=follows,
        )
        create_subscription(data, actor=SYSTEM)
    return {table: make_import(warehouse, table) for table in IMPORTS}


def make_rules(app: App) -> None:
    users = {key: {"table": "users", "column": key, "key_column": "id"} for key in ("email", "first_name", "locale")}
    last = {"table": "purchases", "column": "created_at", "key_column": "user_id", "aggregation": "max"}
    for rule in (
        NewRule("user_id", "integer", is_unique=True, identity_rank=1),
        NewRule(
            "email", "email", is_unique=True, identity_rank=2, app=app, column=users["email"], column_key="user_id"
        ),
        NewRule("first_name", "string", app=app, column=users["first_name"], column_key="user_id"),
        NewRule("locale", "string", app=app, column=users["locale"], column_key="user_id"),
        NewRule("ltv", "float", app=app, query=LTV),
        NewRule("last_purchase_at", "date", app=app, column=last, column_key="user_id"),
        NewRule("cart_abandoned_at", "date"),
    ):
        create_rule(rule, actor=SYSTEM)


GROUPS: dict[str, list[dict[str, Any]]] = {
    "Lapsed customers": [
        {"property": "ltv", "operator": "greater_than", "value": 0},
        {"property": "last_purchase_at", "operator": "more_than_ago", "value": {"amount": 2, "unit": "months"}},
    ],
    "USA customers": [{"property": "locale", "operator": "equals", "value": "en-us"}],
}


def make_group(name: str, rules: list[dict[str, Any]]) -> int:
    group = groups_store.create_group(name, kind="calculated", rules={"match": "all", "rules": rules}, actor=SYSTEM)
    return int(group.pk)


def make_export(app: App, groups: dict[str, int]) -> int:
    data = ScheduleData(
        direction="export",
        name="Mailchimp:members",
        app_id=app.pk,
        options={"key_field": "email_address"},
        fields={"FNAME": "first_name", "email_address": "email"},
        groups={pk: name for name, pk in groups.items()},
        after_changes=True,
    )
    return int(schedules_store.create_schedule(data, actor=SYSTEM).pk)


# table -> the options of its import, and which columns feed which properties
IMPORTS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "users": (
        {"table": "users", "changed_column": "updated_at", "id_column": "id"},
        {"id": "user_id", "email": "email", "first_name": "first_name", "locale": "locale"},
    ),
    "carts": (
        {"table": "carts", "id_column": "user_id"},
        {"user_id": "user_id", "cart_abandoned_at": "cart_abandoned_at"},
    ),
    "purchases": ({"table": "purchases", "changed_column": "created_at", "id_column": "id"}, {"user_id": "user_id"}),
    "refunds": ({"table": "refunds", "changed_column": "created_at", "id_column": "id"}, {"user_id": "user_id"}),
}


def make_import(app: App, table: str) -> int:
    options, fields = IMPORTS[table]
    data = ScheduleData(
        direction="import", name=f"MySQL-Datawarehouse:{table}", app_id=app.pk, options=options, fields=fields
    )
    return int(schedules_store.create_schedule(data, actor=SYSTEM).pk)


def run_import(schedule_id: int) -> None:
    """Start a run and wait for the workers to finish it."""
    run_id = runs.start_run(schedule_id, trigger="person:1", actor=SYSTEM).pk
    wait_until(
        lambda: Run.objects.get(pk=run_id).state not in (RunState.PENDING, RunState.RUNNING),
        what="the import has ended",
        within=WITHIN,
    )
    run = Run.objects.get(pk=run_id)
    assert run.state == RunState.COMPLETE, run.error
    assert not run.errors.exists()


# ---------------------------------------------------------------- what the tools hold


def members_of(mailchimp: Standin) -> dict[str, tuple[str, list[str]]]:
    """Subscribed members: first name and tags, by email."""
    members, _ = mailchimp.store.members(AUDIENCE, status="subscribed", limit=100)
    return {
        row["email"]: (
            row["merge_fields"]["FNAME"],
            sorted(tag["name"] for tag in mailchimp.store.tags(AUDIENCE, row["hash"])),
        )
        for row in members
    }


def events_of(mailchimp: Standin) -> list[dict[str, Any]]:
    """Every event that came, with the address of its member."""
    return [row["body"] for row in mailchimp.store.events(AUDIENCE)]
