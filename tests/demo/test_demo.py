"""The demo shop from its tables to the newsletter's and to Mailchimp: what it says happened is what plain SQL finds."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection

from apps_connectors.models import App
from core.accounts.actors import SYSTEM
from core.accounts.models import AuditEntry, User
from core.accounts.people import set_password
from core.lib.processes import find_free_port
from grouparoo import demo
from grouparoo.demo import databases
from grouparoo.demo.configuration import GROUPS, IMPORTS
from grouparoo.demo.databases import Names, connect_to
from grouparoo.demo.mailchimp import AUDIENCE, Place
from grouparoo.demo.people import EMAIL
from grouparoo.demo.summary import read_figures
from groups import recalculation
from groups.models import GroupMember
from profiles.models import Profile
from profiles.rules import NewRule, create_rule
from schedules import exporting, importing, runs
from schedules.models import Run, RunState, Schedule
from schedules.outbound import delivering
from tests.waiting import wait_until

LTV = """
    select u.id, u.email, u.first_name, u.locale, u.country, coalesce(p.total, 0) - coalesce(r.total, 0) as ltv,
           coalesce(p.count, 0) as bought, p.last
      from users u
      left join (select user_id, sum(total) as total, count(*), max(created_at) as last from purchases group by 1) p
             on p.user_id = u.id
      left join (select user_id, sum(total) as total from refunds group by 1) r on r.user_id = u.id
"""
LAPSED = f"select id from ({LTV}) u where ltv > 0 and last < now() - interval '2 months'"


@pytest.fixture
def said() -> list[str]:
    """What the demo says while it loads."""
    return []


@pytest.fixture
def _small_shop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "CUSTOMERS", 40)


def test_the_whole_flow_ends_with_what_plain_sql_on_the_shop_says(
    names: Names, mailchimp: Place, said: list[str]
) -> None:
    demo.load(mailchimp, write=said.append)
    play()
    figures = read_figures()
    assert figures.imported == {table: one(names.shop, f"select count(*) from {table}") for table in figures.imported}
    assert figures.imported["users"] == figures.profiles == databases.CUSTOMERS
    assert figures.events == sum(figures.imported.values())
    assert figures.unlinked == 0
    ltv = one(names.shop, "select (select sum(total) from purchases) - (select sum(total) from refunds)")
    assert figures.ltv == pytest.approx(float(ltv), abs=0.005)
    assert figures.groups == {
        "Lapsed customers": one(names.shop, f"select count(*) from ({LAPSED}) l"),
        "USA customers": one(names.shop, "select count(*) from users where locale = 'en-us'"),
    }
    assert all(count > 500 for count in figures.groups.values())
    assert figures.subscribers == figures.members == one(names.newsletter, "select count(*) from subscribers")
    text = "\n".join(demo.summarize(mailchimp))
    for number in (*figures.imported.values(), *figures.groups.values(), figures.members, figures.sent, figures.ltv):
        assert f"{number:,}" in text or f"{number:,.2f}" in text
    check_people(names)
    check_newsletter(names)
    check_mailchimp(names, settings.VAR / "demo-mailchimp.sqlite", figures.sent)


def check_people(names: Names) -> None:
    """Every profile has the values that one query over the shop gives for it."""
    expected = {row[0]: row[1:] for row in ask(names.shop, LTV)}
    abandoned = dict(
        ask(
            names.shop,
            "select distinct on (user_id) user_id, abandoned_at from carts order by user_id, updated_at desc, id desc",
        )
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "select (properties ->> 'user_id')::int, properties ->> 'email', properties ->> 'first_name',"
            " properties ->> 'locale', properties ->> 'country', round((properties ->> 'ltv')::numeric, 2),"
            " (properties ->> 'purchase_count')::int, (properties ->> 'last_purchase_at')::timestamptz,"
            " (properties ->> 'cart_abandoned_at')::timestamptz from profile"
        )
        found = {row[0]: row[1:] for row in cursor.fetchall()}
    assert {user: values[:-1] for user, values in found.items()} == expected
    assert {user: values[-1] for user, values in found.items()} == {user: abandoned.get(user) for user in expected}
    evan = found[3]
    assert (evan[0], evan[4], evan[-1] is not None) == ("evan@grouparoo.com", 0, True)


def check_newsletter(names: Names) -> None:
    """The newsletter has exactly the members of both groups, with their names and the groups they are in."""
    lapsed = {user for (user,) in ask(names.shop, LAPSED)}
    people = ask(names.shop, "select id, email, first_name, locale from users")
    usa = {user for user, _, _, locale in people if locale == "en-us"}
    assert set(ask(names.newsletter, "select email, first_name from subscribers")) == {
        (email, first_name) for user, email, first_name, _ in people if user in lapsed | usa
    }
    assert set(ask(names.newsletter, "select email, group_name from subscriber_groups")) == {
        (email, group)
        for user, email, _, _ in people
        for group, members in {"Lapsed customers": lapsed, "USA customers": usa}.items()
        if user in members
    }


def check_mailchimp(names: Names, file: Path, sent: int) -> None:
    """Mailchimp has the newsletter's people with their groups as tags, and each abandoned cart of theirs once."""
    with closing(sqlite3.connect(file)) as held:
        members = held.execute("select email, merge_fields ->> 'FNAME' from member where status = 'subscribed'")
        assert set(members) == set(ask(names.newsletter, "select email, first_name from subscribers"))
        tags = "select m.email, t.name from member m join member_tag mt using (hash) join tag t on t.id = mt.tag_id"
        assert set(held.execute(tags)) == set(ask(names.newsletter, "select email, group_name from subscriber_groups"))
        bodies = [json.loads(body) for (body,) in held.execute("select body from event where list_id = ?", [AUDIENCE])]
    subscribers = dict(ask(names.newsletter, "select email, first_name from subscribers"))
    carts = ask(
        names.shop,
        "select c.id, u.id, u.email, c.cart_items from carts c join users u on u.id = c.user_id"
        " where c.abandoned_at is not null",
    )
    expected = {
        str(cart): (items, {"user_id": user, "first_name": subscribers[email], "email": email})
        for cart, user, email, items in carts
        if email in subscribers
    }
    found = [body["properties"] for body in bodies]
    assert {event["id"]: (json.loads(event["cart_items"]), json.loads(event["profile"])) for event in found} == expected
    assert len(found) == sent == len(expected) > 0


@pytest.mark.usefixtures("_small_shop")
def test_a_second_start_goes_on_with_the_same_data(names: Names, mailchimp: Place, said: list[str]) -> None:
    demo.load(mailchimp, write=said.append)
    play()
    before = (read_figures(), AuditEntry.objects.count(), ask(names.shop, "select * from purchases order by id"))
    assert len(said) == 2
    demo.load(mailchimp, write=said.append)
    assert demo.look().is_done
    play()
    after = (read_figures(), AuditEntry.objects.count(), ask(names.shop, "select * from purchases order by id"))
    assert after == before
    assert len(said) == 2


@pytest.mark.usefixtures("_small_shop")
def test_a_start_that_was_stopped_half_way_is_gone_on_with(
    names: Names, mailchimp: Place, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("grouparoo.demo.configuration._ensure_imports", stop)
        with pytest.raises(KeyboardInterrupt):
            demo.load(mailchimp, write=said.append)
    demo.load(mailchimp, write=said.append)
    demo.start()
    runs.stop_run(Run.objects.get(schedule__name="Warehouse:carts").pk, actor=SYSTEM)
    work_once()
    assert "“Warehouse:carts” stopped" in demo.look().problem
    play()
    assert read_figures().imported["carts"] == one(names.shop, "select count(*) from carts")


@pytest.mark.usefixtures("_small_shop")
def test_a_purchase_brings_a_lapsed_customer_back(names: Names, mailchimp: Place, said: list[str]) -> None:
    demo.load(mailchimp, write=said.append)
    play()
    user, email = ask(names.shop, f"select id, email from users where locale <> 'en-us' and id in ({LAPSED})")[0]
    assert one(names.newsletter, f"select count(*) from subscribers where email = '{email}'") == 1
    with closing(connect_to(names.shop)) as shop, shop, shop.cursor() as cursor:
        cursor.execute("insert into purchases select max(id) + 1, %s, null, 10, now() from purchases", [user])
    runs.start_run(Schedule.objects.get(name="Warehouse:purchases").pk, trigger="person:1", actor=SYSTEM)
    work_once()
    assert not GroupMember.objects.filter(profile_id=Profile.objects.get(properties__user_id=user).guid).exists()
    assert not demo.look().is_done
    runs.start_run(Schedule.objects.get(name="Newsletter:subscribers").pk, trigger="person:1", actor=SYSTEM)
    play()
    assert one(names.newsletter, f"select count(*) from subscribers where email = '{email}'") == 0


@pytest.mark.usefixtures("_small_shop")
def test_the_login_that_is_printed_works_until_someone_changes_it(
    names: Names, mailchimp: Place, said: list[str]
) -> None:
    demo.load(mailchimp, write=said.append)
    user = User.objects.get(email=EMAIL)
    password = demo.summarize(mailchimp)[-1].split()[-1]
    assert user.check_password(password)
    assert user.role == "admin"
    set_password(user.pk, "something of her own", actor=SYSTEM)
    assert "was changed" in demo.summarize(mailchimp)[-1]


def test_a_database_that_is_someone_elses_is_left_alone(names: Names, mailchimp: Place, said: list[str]) -> None:
    run_on_server(f"create database {names.shop}")
    with closing(connect_to(names.shop)) as shop, shop, shop.cursor() as cursor:
        cursor.execute("create table users (name text)")
    with pytest.raises(CommandError, match="not the demo's"):
        demo.load(mailchimp, write=said.append)
    assert ask(names.shop, "select tablename from pg_tables where schemaname = 'public'") == [("users",)]
    assert not App.objects.exists()


def test_an_installation_in_use_is_left_alone(names: Names, mailchimp: Place, said: list[str]) -> None:
    create_rule(NewRule("email", "email", is_unique=True), actor=SYSTEM)
    with pytest.raises(CommandError, match="not mixed into"):
        demo.load(mailchimp, write=said.append)
    assert not User.objects.exists()
    with pytest.raises(psycopg2.OperationalError, match="does not exist"):
        connect_to(names.shop)


@pytest.mark.usefixtures("_small_shop")
def test_apps_follow_a_server_that_moved(names: Names, mailchimp: Place, said: list[str]) -> None:
    demo.load(mailchimp, write=said.append)
    App.objects.update(options={"host": "127.0.0.1", "port": find_free_port(), "database": names.shop})
    demo.load(mailchimp, write=said.append)
    play()


# ---------------------------------------------------------------- inside


def play() -> None:
    """Do what workers and beat do until the flow is done."""
    demo.start()
    wait_until(lambda: work_once() or demo.look().is_done, what="the demo's flow is done", within=60)
    assert demo.look().problem == ""
    assert set(Run.objects.values_list("state", flat=True)) <= {RunState.COMPLETE, RunState.STOPPED}


def work_once() -> bool:
    """Every slice that can be worked on now; False, so that the caller looks."""
    while importing.work_slice() or recalculation.recalculate_some():
        pass
    if all(bar.ended for bar in demo.look().bars[: len(IMPORTS) + len(GROUPS)]):
        runs.start_each(exporting.find_due(), trigger="change")
        while exporting.work_slice():
            pass
        delivering.find_due()
        while delivering.work_slice():
            pass
    return False


def ask(database: str, query: str) -> Sequence[tuple[Any, ...]]:
    """The rows of a query."""
    with closing(connect_to(database)) as found, found.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def one(database: str, query: str) -> Any:
    """The only value of a query."""
    return ask(database, query)[0][0]


def run_on_server(statement: str) -> None:
    with closing(connect_to(str(connection.settings_dict["NAME"]))) as server, server.cursor() as cursor:
        server.autocommit = True
        cursor.execute(statement)
