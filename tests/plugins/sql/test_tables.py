"""The tables an export writes to: what they are said to take, and what is made where it is missing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from plugins.contracts import Field, Halt, OutcomeKind, ProfileExport, SyncMode, Target
from tests.plugins.sql.conftest import Shop

FIELDS = {"email": "email", "name": "string", "visits": "integer", "spent": "float", "vip": "boolean", "seen": "date"}
ALICE: dict[str, Any] = {
    "email": "alice@example.com",
    "name": "Alice",
    "visits": 3,
    "spent": 12.5,
    "vip": True,
    "seen": "2024-02-29T10:00:00.000001Z",
}


@pytest.fixture(autouse=True)
def _no_tables(shop: Shop) -> None:
    for table in ("contacts", "contact_groups"):
        shop.run(f"drop table if exists {table}")


def target(fields: dict[str, str] = FIELDS, **options: Any) -> Target:
    return Target({"table": "contacts", **options}, "email", fields, mode=SyncMode.SYNC)


def find_fields(shop: Shop, **options: Any) -> dict[str, Field]:
    with shop.connect() as app:
        return {field.key: field for field in app.fields({"table": "contacts", **options})}


def export(shop: Shop, to: Target, *items: ProfileExport) -> list[OutcomeKind]:
    with shop.connect() as app:
        return [outcome.kind for outcome in app.export(to, items)]


def test_columns_that_are_missing_are_added_with_their_types(shop: Shop) -> None:
    shop.run("create table contacts (email varchar(50) primary key, note varchar(50))")
    shop.run("insert into contacts values ('alice@example.com', 'ours')")
    assert export(shop, target(add_columns=True), ProfileExport("1", None, ALICE)) == [OutcomeKind.ACCEPTED]
    assert shop.run("select note, visits, name from contacts") == [("ours", 3, "Alice")]
    found = find_fields(shop)
    assert list(found) == ["email", "note", "name", "visits", "spent", "vip", "seen"]
    dates = "string" if shop.kind == "sqlite" else "date"  # which has no type for them
    assert [found[name].type for name in FIELDS] == ["string", "string", "integer", "float", "boolean", dates]
    with shop.connect() as app:
        held = app.read_back(target(), ["alice@example.com"])
    assert held == {"alice@example.com": ALICE}


def test_without_the_option_nothing_is_added(shop: Shop) -> None:
    shop.run("create table contacts (email varchar(50) primary key)")
    with pytest.raises(Halt, match="name"):
        export(shop, target(create_table=True), ProfileExport("1", None, ALICE))
    assert list(find_fields(shop)) == ["email"]


@pytest.mark.parametrize("is_there", [True, False])
def test_exports_that_add_the_same_columns_at_once_do_not_disturb_each_other(shop: Shop, is_there: bool) -> None:
    if is_there:
        shop.run("create table contacts (email varchar(50) primary key)")
    many = 4
    together = Barrier(many)
    options = {"create_table": True, "add_columns": True, "groups_table": "contact_groups"}

    def run(number: int) -> OutcomeKind:
        payload = {**ALICE, "email": f"p{number}@example.com", f"own_{number}": number}
        own = target({**FIELDS, f"own_{number}": "integer"}, **options)
        with shop.connect() as app:
            app.query("select 1")
            together.wait()
            return app.export(own, [ProfileExport(str(number), None, payload)])[0].kind  # type: ignore[no-any-return]

    with ThreadPoolExecutor(many) as pool:
        kinds = list(pool.map(run, range(many)))
    assert kinds == [OutcomeKind.ACCEPTED] * many
    assert {f"own_{number}" for number in range(many)} <= set(find_fields(shop))
    assert shop.run("select count(*) from contacts") == [(many,)]


def test_only_a_column_that_is_unique_by_itself_can_be_the_key(shop: Shop) -> None:
    shop.run(
        "create table contacts (tenant integer, number integer, email varchar(50), login varchar(50) unique,"
        " nick varchar(50), primary key (tenant, number))"
    )
    shop.run("create index contacts_email on contacts (email)")
    shop.run("create unique index contacts_nick on contacts (nick)")
    if shop.kind != "mysql":
        shop.run("create unique index contacts_some on contacts (email) where number > 5")
    found = find_fields(shop)
    assert {name for name, field in found.items() if not field.key_problem} == {"login", "nick"}
    assert "“email” of the table contacts has no unique index" in found["email"].key_problem


def test_a_target_that_cannot_work_says_what_to_do(shop: Shop) -> None:
    with pytest.raises(Halt, match="no table contacts: choose"):
        find_fields(shop)
    shop.run("create table contacts (email varchar(50) primary key)")
    with pytest.raises(Halt, match="no table of groups contact_groups"):
        find_fields(shop, groups_table="contact_groups")
    assert list(find_fields(shop, groups_table="contact_groups", create_table=True)) == ["email"]
    shop.run("create table contact_groups (email varchar(50), name varchar(50))")
    with pytest.raises(Halt, match="has no column group_name"):
        find_fields(shop, groups_table="contact_groups", key_field="email")


def test_columns_that_the_database_fills_itself_are_not_asked_for(shop: Shop) -> None:
    by_itself = {
        "postgres": "id bigint generated always as identity unique",
        "mysql": "id bigint auto_increment unique",
        "sqlite": "id integer default 1",
    }[shop.kind]
    shop.run(
        f"create table contacts ({by_itself}, email varchar(50) not null primary key, name varchar(50) not null,"
        " made integer not null default 7, twice integer generated always as (made * 2) stored)"
    )
    found = find_fields(shop)
    assert {name for name, field in found.items() if field.required} == {"email", "name"}
    assert "twice" not in found


def test_json_columns_take_every_value(shop: Shop) -> None:
    kind = {"postgres": "jsonb", "mysql": "json", "sqlite": "json"}[shop.kind]
    shop.run(f"create table contacts (email varchar(50) primary key, data {kind})")
    field = find_fields(shop)["data"]
    assert (field.type, field.takes_lists) == ("json", True)
    to = Target({"table": "contacts"}, "email", {"email": "email", "data": "json"})
    values = [["a", "“b”"], "text\t\\N", 12.5, True, None, {"a": 1}]
    items = [ProfileExport(str(n), None, {"email": str(n), "data": value}) for n, value in enumerate(values)]
    assert export(shop, to, *items) == [OutcomeKind.ACCEPTED] * len(values)
    with shop.connect() as app:
        held = app.read_back(to, [str(n) for n in range(len(values))])
    assert [held[str(n)]["data"] for n in range(len(values))] == values


def test_in_a_chain_of_changed_keys_every_row_keeps_what_others_wrote_in_it(shop: Shop) -> None:
    shop.run("create table contacts (email varchar(50) primary key, name varchar(50), note varchar(50))")
    to = Target({"table": "contacts"}, "email", {"email": "email", "name": "string"})
    people = [{"email": name, "name": name} for name in ("a", "b", "c", "x", "y")]
    export(shop, to, *[ProfileExport(person["email"], None, person) for person in people])
    shop.run("update contacts set note = email")
    moves = [("a", "b"), ("b", "c"), ("c", "d"), ("x", "y"), ("y", "x")]
    items = [ProfileExport(old, {"email": old, "name": old}, {"email": new, "name": old}) for old, new in moves]
    assert export(shop, to, *items) == [OutcomeKind.ACCEPTED] * len(moves)
    assert sorted(shop.run("select email, name from contacts")) == [
        ("b", "a"), ("c", "b"), ("d", "c"), ("x", "y"), ("y", "x"),
    ]  # fmt: skip
    in_chain = shop.run("select email, note from contacts where email in ('b', 'c', 'd')")
    assert sorted(in_chain) == [("b", "a"), ("c", "b"), ("d", "c")]
