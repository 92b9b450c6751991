"""The same story told to each real destination: first export, changes, a moved key, a swap, leaving, a removal."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from apps_connectors import apps_store, connections
from core.accounts.actors import SYSTEM
from profiles.models import ProfilePropertyRule
from schedules import schedules_store
from schedules.editing import previews
from schedules.models import ExportRecord, RunState, Schedule
from tests.factories import make_rule
from tests.mariadb import MariaDB
from tests.plugins.customerio import conftest as customerio_app
from tests.plugins.customerio.exports import held
from tests.plugins.customerio.standin import Standin
from tests.plugins.customerio.standin import run_standin as run_customerio
from tests.plugins.hubspot.account import define
from tests.plugins.hubspot.standin import run_standin as run_hubspot
from tests.plugins.webhook.people import hold
from tests.receiver import run_receiver
from tests.schedules.destinations import World, adds_up, export, make_world

pytestmark = pytest.mark.django_db(transaction=True)

ALICE = {
    "email": "alice@example.com",
    "first_name": "Alice “the tab\t” \\N",
    "ltv": 12.5,
    "visits": 3,
    "is_vip": True,
    "born_at": "1990-02-28T00:00:00.000000Z",
}
BOB = {"email": "bob@example.com", "first_name": "Bob"}
CHARLIE = {"email": "charlie@example.com", "first_name": "Charlie"}
DATABASE = "export_target"


@dataclass
class Destination:
    """A real tool: how to make its App, what an export to it asks, and how to look at what it holds."""

    type: str
    app_options: dict[str, Any]
    options: dict[str, Any]
    names: Callable[[], dict[str, str | None]]
    members: Callable[[], set[tuple[str, str]]]
    execute: Callable[[str], object] = print


def look_with(run: Callable[[str], list[tuple[Any, ...]]]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """How to read names and memberships of a SQL destination."""
    return (
        lambda: dict(run("select email, name from people")),
        lambda: set(run("select email, group_name from people_groups")),
    )


TABLES = {"table": "people", "groups_table": "people_groups", "create_table": True}


@pytest.fixture
def postgres(postgres_server: Callable[[str], str]) -> Iterator[Destination]:
    with closing(psycopg2.connect(postgres_server("postgres"))) as admin:
        admin.autocommit = True
        with admin.cursor() as cursor:
            cursor.execute(f"drop database if exists {DATABASE} with (force)")
            cursor.execute(f"create database {DATABASE}")
        dsn = parse_dsn(postgres_server(DATABASE))
        given: dict[str, Any] = {
            "host": dsn["host"],
            "user": dsn["user"],
            "port": int(dsn.get("port", 5432)),
            "database": DATABASE,
        }
        with closing(psycopg2.connect(postgres_server(DATABASE))) as target:
            target.autocommit = True

            def run(statement: str) -> list[tuple[Any, ...]]:
                with target.cursor() as cursor:
                    cursor.execute(statement)
                    return cursor.fetchall() if cursor.description else []

            given["password"] = dsn.get("password", "")
            yield Destination("postgres", given, TABLES, *look_with(run), run)
        connections.close_all()
        with admin.cursor() as cursor:
            cursor.execute(f"drop database {DATABASE} with (force)")


@pytest.fixture
def mysql(mariadb: MariaDB) -> Iterator[Destination]:
    mariadb.create_database(DATABASE)
    given = {
        "host": mariadb.host,
        "port": mariadb.port,
        "user": mariadb.user,
        "password": mariadb.password,
        "database": DATABASE,
    }
    with closing(mariadb.connect(DATABASE)) as target:

        def run(statement: str) -> list[tuple[Any, ...]]:
            with target.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall())

        yield Destination("mysql", given, TABLES, *look_with(run), run)
    connections.close_all()


@pytest.fixture
def files(tmp_path: Path) -> Destination:
    def read() -> list[tuple[str, str, str | None]]:
        found = []
        for path in tmp_path.glob("*.csv"):
            with path.open(newline="", encoding="utf-8") as file:
                found += [(row["email"], path.stem, row["name"] or None) for row in csv.DictReader(file)]
        return found

    return Destination(
        "csv",
        {"folder": str(tmp_path)},
        {},
        lambda: {email: name for email, _, name in read()},
        lambda: {(email, group) for email, group, _ in read()},
    )


@pytest.fixture
def standin() -> Iterator[Standin]:
    with run_customerio() as running:
        yield running


@pytest.fixture
def customerio(standin: Standin) -> Destination:
    groups = ("vip", "new")
    return Destination(
        "customerio",
        customerio_app.options_for(standin),
        {},
        lambda: {email: attributes.get("name") for email, attributes in held(standin).items()},
        lambda: {
            (email, group)
            for email, attributes in held(standin).items()
            for group in groups
            if attributes.get(f"in_{group}")
        },
    )


@pytest.fixture
def hubspot() -> Iterator[Destination]:
    with run_hubspot() as standin:
        account = standin.account
        more = (define("is_vip", "bool", "booleancheckbox"), define("born_at", "datetime", "date"))
        account.properties |= {found["name"]: found for found in more}
        yield Destination(
            "hubspot",
            {"access_token": account.token, "server_url": standin.url},
            {},
            lambda: {email: (account.get(email) or {}).get("name") for email in account.emails()},
            lambda: {(email, found.name) for found in account.lists.values() for email in account.members(found.name)},
        )
        connections.close_all()


@pytest.fixture
def webhook() -> Iterator[Destination]:
    """What a program holds that takes lists of people."""
    with run_receiver() as receiver:
        yield Destination(
            "webhook",
            {"url": receiver.url, "secret": receiver.secret},
            {"at_once": 2, "url": "/people", "method": "PUT"},
            lambda: {key: held.profile["name"] for key, held in hold(receiver.deliveries).items()},
            lambda: {(key, group) for key, held in hold(receiver.deliveries).items() for group in held.groups},
        )
    connections.close_all()


SQL = ["postgres", pytest.param("mysql", marks=pytest.mark.mariadb)]


@pytest.fixture(params=[*SQL, "files", "customerio", "hubspot", "webhook"])
def destination(request: pytest.FixtureRequest) -> Destination:
    found: Destination = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, destination: Destination) -> World:
    world = make_world(monkeypatch)
    for key, kind in (("ltv", "float"), ("visits", "integer"), ("is_vip", "boolean"), ("born_at", "date")):
        make_rule(key, kind)
    world.app = apps_store.create_app(destination.type, "Real", destination.app_options, actor=SYSTEM)
    return world


def make_export(world: World, destination: Destination, **more: Any) -> Schedule:
    others = {key: key for key in ("ltv", "visits", "is_vip", "born_at")}
    data = schedules_store.ScheduleData(
        direction="export",
        name="real",
        app_id=world.app.pk,
        options={**destination.options, "key_field": "email"},
        fields={"email": "email", "name": "first_name", **others},
        groups={group.pk: group.name for group in world.groups.values()},
        **more,
    )
    return schedules_store.create_schedule(data, actor=SYSTEM)


def test_the_destination_follows_the_profiles(world: World, destination: Destination) -> None:
    alice, bob, charlie = world.people(ALICE, BOB, CHARLIE)
    world.join(alice, "new")
    schedule = make_export(world, destination)

    def sent(**expected: int) -> None:
        run = export(schedule)
        assert (run.state, run.error) == (RunState.COMPLETE, "")
        assert adds_up(run)
        assert {name: number for name, number in run.counters.items() if number} == expected

    sent(selected=3, sent=3, created=3)
    assert destination.names() == {
        "alice@example.com": ALICE["first_name"],
        "bob@example.com": "Bob",
        "charlie@example.com": "Charlie",
    }
    assert destination.members() == {
        ("alice@example.com", "vip"),
        ("alice@example.com", "new"),
        ("bob@example.com", "vip"),
        ("charlie@example.com", "vip"),
    }
    sent()

    world.change(alice, email="alice@example.org", first_name=None)
    world.leave(alice, "vip")
    sent(selected=1, sent=1, updated=1)
    assert destination.names()["alice@example.org"] is None
    assert "alice@example.com" not in destination.names()
    assert ("alice@example.org", "new") in destination.members()
    assert not any("alice@example.com" in pair for pair in destination.members())

    world.change(bob, email="charlie@example.com")
    world.change(charlie, email="bob@example.com")
    sent(selected=2, sent=2, updated=2)
    assert destination.names()["charlie@example.com"] == "Bob"
    assert destination.names()["bob@example.com"] == "Charlie"

    world.leave(bob, "vip")
    world.change(alice, email="charlie@example.com", first_name="Alice")
    sent(selected=2, sent=1, updated=1, unchanged=1)
    assert destination.names() == {"charlie@example.com": "Alice", "bob@example.com": "Charlie"}
    assert destination.members() == {("charlie@example.com", "new"), ("bob@example.com", "vip")}

    world.leave(alice, "new")
    world.leave(charlie, "vip")
    sent(selected=2, sent=2, removed=2)
    assert destination.names() == {}
    assert destination.members() == set()


@pytest.mark.parametrize("destination", [*SQL, "customerio", "hubspot", "webhook"], indirect=True)
def test_where_nothing_may_be_removed_only_the_groups_go(world: World, destination: Destination) -> None:
    alice, _ = world.people(ALICE, BOB)
    schedule = make_export(world, destination, mode="additive")
    export(schedule)
    world.leave(alice, "vip")
    export(schedule)
    assert set(destination.names()) == {"alice@example.com", "bob@example.com"}
    assert destination.members() == {("bob@example.com", "vip")}


@pytest.mark.parametrize("destination", SQL, indirect=True)
def test_a_table_that_vanished_halts_the_export_and_loses_nothing(world: World, destination: Destination) -> None:
    (alice,) = world.people(ALICE)
    schedule = make_export(world, destination)
    export(schedule)
    destination.execute("alter table people rename to elsewhere")
    world.change(alice, first_name="Alice")
    run = export(schedule)
    schedule.refresh_from_db()
    assert run.state == RunState.FAILED
    assert "people" in run.error
    assert schedule.halted_reason == run.error
    assert adds_up(run)
    assert run.counters["owed"] == 1
    destination.execute("alter table elsewhere rename to people")
    schedules_store.resume(schedule.pk, actor=SYSTEM)
    assert export(schedule).counters["sent"] == 1
    assert destination.names() == {"alice@example.com": "Alice"}


@pytest.mark.parametrize("destination", SQL, indirect=True)
def test_values_become_what_the_columns_take_and_the_preview_shows_it(world: World, destination: Destination) -> None:
    make_rule("tags", "string", is_array=True)
    world.people({"email": "zoe@example.com"}, {**ALICE, "visits": 3, "ltv": 3.0, "tags": ["red", "“blue”"]})
    columns = {
        "visits_text": "visits", "visits_number": "visits", "ltv_text": "ltv", "vip_text": "is_vip",
        "vip_number": "is_vip", "born_text": "born_at", "tags": "tags",
    }  # fmt: skip
    kinds = {"visits_number": "double precision", "vip_number": "smallint"}
    described = "".join(f", {name} {kinds.get(name, 'varchar(100)')}" for name in columns)
    destination.execute(f"create table people (email varchar(100) primary key{described})")
    fields = {"email": "email", **columns}
    data = schedules_store.ScheduleData(
        direction="export",
        name="real",
        app_id=world.app.pk,
        options={"table": "people", "key_field": "email"},
        fields=fields,
        everyone=True,
    )
    schedule = schedules_store.create_schedule(data, actor=SYSTEM)
    assert schedule.options["field_types"] == {
        "visits_text": "string", "visits_number": "float", "ltv_text": "string", "vip_text": "string",
        "vip_number": "integer", "born_text": "string",
    }  # fmt: skip
    run = export(schedule)
    assert (run.state, run.counters["sent"], run.error) == (RunState.COMPLETE, 2, "")
    look = destination.execute(f"select {', '.join(columns)} from people order by email")
    assert [tuple(row) for row in look] == [  # type: ignore[attr-defined]  # it gives the rows
        ("3", 3.0, "3", "true", 1, "1990-02-28T00:00:00.000000Z", '["red", "“blue”"]'),
        (None,) * 7,
    ]
    assert export(schedule).counters.get("sent", 0) == 0
    with connections.connect(world.app.pk) as app:
        known = app.fields(schedule.options)  # type: ignore[attr-defined]  # it exports
    rules = list(ProfilePropertyRule.objects.all())
    shown = previews.preview(fields, key_field="email", groups={}, everyone=True, wanted="", rules=rules, known=known)
    assert shown.person
    assert shown.payload
    assert shown.payload["ltv_text"] == "3"
    assert shown.payload == ExportRecord.objects.get(profile_id=shown.person.profile.pk).payload
    schedules_store.update_schedule(schedule.pk, schedules_store.read_data(schedule), actor=SYSTEM)
    schedule.refresh_from_db()
    assert schedule.mapping_version == 1


@pytest.mark.parametrize("destination", SQL, indirect=True)
def test_a_field_that_is_new_becomes_a_column_and_an_array_is_json_text(world: World, destination: Destination) -> None:
    make_rule("numbers", "integer", is_array=True)
    world.people({**BOB, "visits": 7, "numbers": [1, 2]})
    destination.execute("create table people (email varchar(100) primary key, name varchar(100))")
    data = schedules_store.ScheduleData(
        direction="export",
        name="real",
        app_id=world.app.pk,
        options={"table": "people", "key_field": "email", "add_columns": True},
        fields={"email": "email", "name": "first_name", "how_often": "visits", "numbers": "numbers"},
        everyone=True,
    )
    schedule = schedules_store.create_schedule(data, actor=SYSTEM)
    assert export(schedule).counters["sent"] == 1
    look = destination.execute("select name, how_often, numbers from people")
    assert [tuple(row) for row in look] == [("Bob", 7, "[1, 2]")]  # type: ignore[attr-defined]  # it gives the rows


@pytest.mark.parametrize("destination", ["files"], indirect=True)
def test_the_file_of_an_empty_group_goes_with_the_group(world: World, files: Destination) -> None:
    world.people(ALICE)
    schedule = make_export(world, files)
    export(schedule)
    folder = Path(files.app_options["folder"])
    assert {path.name for path in folder.glob("*.csv")} == {"vip.csv", "new.csv"}
    data = schedules_store.read_data(schedule)
    only = {group_id: name for group_id, name in data.groups.items() if name == "vip"}
    schedules_store.update_schedule(schedule.pk, replace(data, groups=only), actor=SYSTEM)
    run = export(schedule)
    assert run.counters.get("sent", 0) == 0
    assert {path.name for path in folder.glob("*.csv")} == {"vip.csv"}
