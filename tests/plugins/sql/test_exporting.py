"""A table and its groups kept in step, on every database."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.contracts import Halt, OutcomeKind, ProfileExport, SyncMode, Target
from plugins.sql.exporting import order_moves
from tests.plugins.sql.conftest import Shop

FIELDS = {"email": "email", "name": "string", "age": "integer", "seen": "date"}


def make_target(shop: Shop, *, mode: SyncMode = SyncMode.SYNC, made: bool = True) -> Target:
    for table in ("contacts", "contact_groups"):
        shop.run(f"drop table if exists {table}")
    options = {"table": "contacts", "groups_table": "contact_groups", "create_table": made}
    return Target(options, "email", FIELDS, mode=mode, groups=("lapsed", "usa"))


def person(email: str, **values: Any) -> dict[str, Any]:
    return {"email": email, "name": email.title(), "age": 30, "seen": "2024-01-01T10:00:00.000001Z", **values}


def export(shop: Shop, target: Target, *items: ProfileExport) -> list[OutcomeKind]:
    with shop.connect() as app:
        return [outcome.kind for outcome in app.export(target, items)]


def new(email: str, *groups: str, **values: Any) -> ProfileExport:
    return ProfileExport(email, None, person(email, **values), (), groups)


def contacts(shop: Shop) -> dict[str, Any]:
    return dict(shop.run("select email, name from contacts"))


def groups(shop: Shop) -> set[tuple[str, str]]:
    return {(row[0], row[1]) for row in shop.run("select email, group_name from contact_groups")}


def test_typed_values_arrive_and_are_read_back(shop: Shop) -> None:
    target = make_target(shop)
    nasty = person("bob@example.com", name="O'Bob\t\\N\n100 % %s ? Zoë 東 \U0001f600", age=-(2**62), seen=None)
    export(shop, target, new("alice@example.com"), ProfileExport("bob", None, nasty))
    with shop.connect() as app:
        held = app.read_back(target, ["bob@example.com", "alice@example.com", "charlie@example.com"])
        assert held == {"alice@example.com": person("alice@example.com"), "bob@example.com": nasty}
        described = {field.key: field.type for field in app.fields(target.options)}
        assert list(described) == list(FIELDS)
        assert described["age"] == "integer"
        assert list(app.fields({"table": "nowhere", "create_table": True})) == []
        with pytest.raises(Halt, match="no table nowhere"):
            app.fields({"table": "nowhere"})


def test_rows_that_the_database_refuses_are_found_among_the_others(shop: Shop) -> None:
    target = make_target(shop, made=False)
    shop.run(
        "create table contacts (email varchar(50) primary key, name varchar(20) not null, age integer"
        " check (age < 150), seen varchar(40))"
    )
    shop.run("create table contact_groups (email varchar(50), group_name varchar(50), primary key (email, group_name))")
    items = [new(f"p{number}@example.com") for number in range(20)]
    items[3] = new("p3@example.com", name=None)
    items[4] = new("p4@example.com", age=200)
    items[17] = new("p17@example.com", name=None)
    kinds = export(shop, target, *items)
    assert [place for place, kind in enumerate(kinds) if kind is OutcomeKind.REJECT] == [3, 4, 17]
    assert len(contacts(shop)) == 17


@pytest.mark.parametrize("mode", SyncMode)
def test_groups_and_removals_follow_the_mode(shop: Shop, mode: SyncMode) -> None:
    target = make_target(shop)
    export(shop, target, new("alice", "lapsed", "usa"), new("bob", "usa"))
    shop.run("insert into contact_groups values ('bob', 'somebody else''s')")
    target = Target(target.options, "email", FIELDS, mode=mode, groups=target.groups)
    export(
        shop,
        target,
        ProfileExport("1", person("alice"), person("alice"), ("lapsed", "usa"), ("lapsed",)),
        ProfileExport("2", person("bob"), None, ("usa",), ()),
        new("charlie", "usa"),
    )
    held, enriches = contacts(shop), mode is SyncMode.ENRICH
    assert ("bob" in held, "charlie" in held) == (mode is not SyncMode.SYNC, not enriches)
    ours = {("alice", "lapsed")} | (set() if enriches else {("charlie", "usa")})
    assert groups(shop) == ours | {("bob", "somebody else's")}


def test_a_changed_key_moves_the_row_and_its_groups(shop: Shop) -> None:
    target = make_target(shop)
    export(shop, target, *[new(name, "usa") for name in ("alice", "bob", "charlie", "dora")])
    moved = [("alice", "alicia"), ("bob", "charlie"), ("charlie", "bob")]
    export(shop, target, *[ProfileExport(old, person(old), person(key), ("usa",), ("usa",)) for old, key in moved])
    assert set(contacts(shop)) == {"alicia", "bob", "charlie", "dora"}
    assert groups(shop) == {(name, "usa") for name in ("alicia", "bob", "charlie", "dora")}


def test_a_moved_row_keeps_what_others_wrote_in_it(shop: Shop) -> None:
    target = make_target(shop)
    export(shop, target, new("alice"))
    shop.run("alter table contacts add column phone varchar(20)")
    shop.run("update contacts set phone = '12345'")
    export(shop, target, ProfileExport("1", person("alice"), person("alicia")))
    assert shop.run("select email, phone from contacts") == [("alicia", "12345")]


def test_a_key_that_another_profile_took_over_is_not_touched(shop: Shop) -> None:
    target = make_target(shop)
    export(shop, target, new("alice", "usa"))
    export(
        shop,
        target,
        ProfileExport("1", person("alice"), person("alicia"), ("usa",), ("usa",), release_old_key=False),
        ProfileExport("2", person("alice"), None, ("usa",), (), release_old_key=False),
    )
    assert set(contacts(shop)) == {"alice", "alicia"}
    assert ("alice", "usa") in groups(shop)


def test_a_missing_table_halts_and_says_so(shop: Shop) -> None:
    with pytest.raises(Halt, match="contacts"):
        export(shop, make_target(shop, made=False), new("alice"))


def test_a_batch_that_fails_leaves_nothing_behind_and_the_session_read_only(shop: Shop) -> None:
    target = make_target(shop)
    export(shop, target)
    shop.run("drop table contact_groups")
    with shop.connect() as app:
        with pytest.raises(Halt, match="contact_groups"):
            app.export(Target({**target.options, "create_table": False}, "email", FIELDS), [new("alice", "usa")])
        assert contacts(shop) == {}
        with pytest.raises(Halt, match=r"(?i)read.?only"):
            app.execute("delete from contacts")


def test_moves_wait_for_their_room_and_circles_are_left_out() -> None:
    assert order_moves([("a", "b"), ("b", "c")], {"b"}) == [("b", "c"), ("a", "b")]
    assert order_moves([("a", "b"), ("b", "a")], {"a", "b"}) == []
    assert order_moves([("a", "b"), ("c", "a")], {"a", "b"}) == []
    assert order_moves([], set()) == []


@pytest.mark.mariadb
def test_mysql_gets_a_batch_in_few_statements_and_a_row_larger_than_a_packet_alone_is_rejected(
    mysql_shop: Shop,
) -> None:
    mysql_shop.run("drop table if exists contacts")
    to = Target({"table": "contacts", "create_table": True}, "email", {"email": "email", "name": "string"})
    items = [ProfileExport(str(n), None, {"email": f"p{n}", "name": "x" * 500}) for n in range(1000)]
    with mysql_shop.connect() as app:
        app.export(to, [])
        before = _statements(app)
        app.export(to, items)
        assert _statements(app) - before < 10
        [(most,)] = app.query("select @@max_allowed_packet")[1]
        items[7] = ProfileExport("7", None, {"email": "p7", "name": "y" * (most + 1)})
        kinds = [outcome.kind for outcome in app.export(to, items)]
    assert [n for n, kind in enumerate(kinds) if kind is not OutcomeKind.ACCEPTED] == [7]
    assert kinds[7] is OutcomeKind.REJECT


def _statements(app: Any) -> int:
    return int(app.query("show session status like 'Questions'")[1][0][1])
