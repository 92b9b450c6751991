"""Values of rules for a batch of profiles, the same on every database."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from plugins.contracts import ColumnAsk, Filter, QueryAsk, Reject
from plugins.sql.retrieving import TOGETHER, UNION
from tests.plugins.sql.conftest import Shop

ALICE, BOB, CHARLIE = (
    {"user_id": 1, "email": "alice@example.com", "code": "1"},
    {"user_id": 2, "email": "bob@example.com", "code": "x"},
    {"user_id": 3, "email": None, "code": "3"},
)
NOBODY = {"user_id": None, "email": "nobody@example.com", "code": None}
PEOPLE = [ALICE, BOB, CHARLIE, NOBODY]
TYPES = {"user_id": "integer", "email": "email", "code": "string"}


@pytest.fixture
def app(shop: Shop) -> Iterator[Any]:
    """The shop with users and purchases; Charlie has bought nothing, Bob has a purchase without a date."""
    shop.fill(
        "users",
        "id bigint not null, email varchar(100), name varchar(100), note varchar(100)",
        [
            (1, "alice@example.com", "Alice", "100 % sure_"),
            (2, "bob@example.com", "Bob", None),
            (3, None, "Charlie", "it's"),
        ],
        key="id",
    )
    shop.fill(
        "purchases",
        "id bigint not null, user_id bigint, total decimal(10, 2), item varchar(20), day date",
        [
            (1, 1, "10.50", "shirt", "2024-01-03"),
            (2, 1, "20.25", "hat", "2024-01-05"),
            (3, 1, "5.00", "shirt", "2024-01-01"),
            (4, 2, "7.00", "Sock", None),
            (5, 2, "1.00", None, "2023-12-31"),
        ],
        key="id",
    )
    with shop.connect() as connected:
        yield connected


def query(template: str, **options: Any) -> QueryAsk:
    return QueryAsk("rule", template, TYPES, **options)


def column(aggregation: str, name: str = "total", **options: Any) -> ColumnAsk:
    ask: dict[str, Any] = {
        "rule": f"{aggregation} {name} {options}",
        "table": "purchases",
        "column": name,
        "key_column": "user_id",
        "key": "user_id",
        "key_type": "integer",
        "aggregation": aggregation,
    }
    return ColumnAsk(**{**ask, **options})


def values(app: Any, ask: Any) -> list[Any]:
    """The values for `PEOPLE`, numbers and dates made comparable."""
    (answer,) = app.retrieve([ask], PEOPLE).answers
    assert answer.error == ""
    return [plain(value) for value in answer.values]


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, Decimal):
        return float(value)
    return value if value is None or isinstance(value, str | int | float) else str(value)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("select name from users where id = {{profile.user_id}}", ["Alice", "Bob", "Charlie", None]),
        (
            "select name from users where email = '{{ profile.email }}'; -- {{profile.zip}}",
            ["Alice", "Bob", None, None],
        ),
        ("select name from users where email like '%{{profile.user_id}}%'", [None, None, None, None]),
        ("select name from users where email like '{{profile.email}}%'", ["Alice", "Bob", None, None]),
        ("select name from users where note like '100 %' and id = {{profile.user_id}}", ["Alice", None, None, None]),
        ("select sum(total) from purchases where user_id = {{profile.user_id}}", [35.75, 8.0, None, None]),
        ("select count(*) from purchases where user_id = {{profile.user_id}}", [3, 2, 0, None]),
        (
            "select item from purchases where user_id = {{profile.user_id}} order by total desc limit 1",
            ["hat", "Sock", None, None],
        ),
        ("select count(*) from users", [3, 3, 3, 3]),
        (
            "select name from users u where u.id = {{profile.user_id}} and u.email = {{profile.email}}",
            ["Alice", "Bob", None, None],
        ),
    ],
)
def test_a_query_gives_each_profile_its_value(app: Any, template: str, expected: list[Any]) -> None:
    assert values(app, query(template)) == expected
    assert app.way_of(query(template)) == (TOGETHER, "")


@pytest.mark.parametrize(
    "template",
    [
        "select item from purchases where user_id = {{profile.user_id}} group by item order by sum(total) desc",
        "select item from purchases where user_id = {{profile.user_id}} order by total desc limit 5",
        "with p as (select * from purchases where user_id={{profile.user_id}}) select item from p order by total desc",
        "select item from (select * from purchases where user_id = {{profile.user_id}}) m order by total desc",
    ],
)
def test_queries_that_a_database_cannot_wrap_are_answered_all_the_same(app: Any, template: str) -> None:
    answer = app.retrieve([query(template)], PEOPLE).answers[0]
    way, reason = app.way_of(query(template))
    assert (answer.error, answer.values, list(answer.several)) == ("", ["hat", "Sock", None, None], [0, 1])
    assert (way, bool(reason)) == ((UNION, True) if app.spec.key == "mysql" else (TOGETHER, False))


def test_an_array_holds_all_rows_in_order(app: Any) -> None:
    ask = query("select item from purchases where user_id = {{profile.user_id}} order by day", is_array=True)
    found = values(app, ask)
    assert found[0] == ["shirt", "shirt", "hat"]
    assert [len(found[1]), found[2], found[3]] == [2, [], None]


def test_a_text_never_becomes_part_of_the_statement(app: Any) -> None:
    nasty = [
        "x' or '1'='1",
        'x" or ""="',
        "\\' or 1=1 -- ",
        "%s",
        "%(a)s",
        "?",
        "{{profile.user_id}}",
        "a\nb\tc",
        "Zoë 東",
    ]
    ask = QueryAsk("rule", "select '<{{profile.email}}>' from users where id = 1", {"email": "string"})
    (answer,) = app.retrieve([ask], [{"email": text} for text in nasty]).answers
    assert answer.values == [f"<{text}>" for text in nasty]
    lookup = QueryAsk("rule", "select name from users where email = '{{profile.email}}'", {"email": "string"})
    assert set(app.retrieve([lookup], [{"email": text} for text in nasty]).answers[0].values) == {None}


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (column("count", "item"), [3, 1, 0, None]),
        (column("count", ""), [3, 2, 0, None]),
        (column("sum"), [35.75, 8.0, 0, None]),
        (column("average"), [pytest.approx(35.75 / 3, abs=1e-3), 4.0, None, None]),
        (column("min"), [5.0, 1.0, None, None]),
        (column("max"), [20.25, 7.0, None, None]),
        (column("most_recent", "item", sort_column="day"), ["hat", None, None, None]),
        (column("least_recent", sort_column="day"), [5.0, 1.0, None, None]),
        (
            column("exact", "item", sort_column="day", is_array=True),
            [["shirt", "hat", "shirt"], ["Sock", None], [], None],
        ),
        (column("most_recent", is_array=True, sort_column="day"), [[20.25, 10.5, 5.0], [1.0, 7.0], [], None]),
        (column("sum", filters=(Filter("item", "eq", "shirt"),)), [15.5, 0, 0, None]),
        (column("sum", filters=(Filter("total", "gt", 7), Filter("total", "lte", "10.5"))), [10.5, 0, 0, None]),
        (column("count", "", filters=(Filter("item", "contains", "SOCK"),)), [0, 1, 0, None]),
        (column("count", "", filters=(Filter("item", "not_contains", "%"),)), [3, 2, 0, None]),
        (column("count", "", filters=(Filter("item", "ne", "shirt"),)), [1, 2, 0, None]),
        (column("count", "", filters=(Filter("item", "in", ["hat", "Sock"]),)), [1, 1, 0, None]),
        (column("count", "", filters=(Filter("item", "in", []),)), [0, 0, 0, None]),
        (column("count", "", filters=(Filter("day", "not_exists"),)), [0, 1, 0, None]),
        (column("count", "", filters=(Filter("day", "gte", "2024-01-03"), Filter("item", "exists"))), [2, 0, 0, None]),
        (
            column("exact", "name", table="users", key_column="email", key="email", key_type="email"),
            ["Alice", "Bob", None, None],
        ),
        (
            column("exact", "name", table="users", key_column="id", key="code", key_type="string"),
            ["Alice", None, "Charlie", None],
        ),
    ],
    ids=lambda value: value.rule if isinstance(value, ColumnAsk) else "",
)
def test_column_rules(app: Any, ask: ColumnAsk, expected: list[Any]) -> None:
    assert values(app, ask) == expected


def test_all_rules_of_a_batch_are_one_statement_without_values(app: Any) -> None:
    asks = [
        QueryAsk("name", "select name from users where email = {{profile.email}}", TYPES),
        QueryAsk("spent", "select sum(total) from purchases where user_id = {{profile.user_id}}", TYPES),
        column("sum"),
        column("count"),
        column("most_recent", "item", sort_column="day", filters=(Filter("item", "ne", "secret thing"),)),
        column("exact", "note", table="users", key_column="id"),
    ]
    retrieval = app.retrieve(asks, PEOPLE)
    assert [answer.error for answer in retrieval.answers] == [""] * len(asks)
    (statement,) = retrieval.statements
    assert statement.rows == len(PEOPLE)
    assert not [word for word in ("alice@example.com", "secret thing") if word in statement.text]
    assert app.retrieve(asks, PEOPLE[:1]).statements[0].text == statement.text


def test_a_rule_that_fails_leaves_the_others_their_values(app: Any) -> None:
    asks = [
        QueryAsk("good", "select name from users where id = {{profile.user_id}}", TYPES),
        QueryAsk("gone column", "select nickname from users where id = {{profile.user_id}}", TYPES),
        QueryAsk("gone table", "select name from customers where id = {{profile.user_id}}", TYPES),
        QueryAsk("unknown variable", "select name from users where id = {{profile.zip}}", TYPES),
        QueryAsk("two columns", "select id, name from users where id = {{profile.user_id}}", TYPES),
        column("sum", "price"),
        column("sum", table="orders"),
        column("median"),
        column("sum"),
    ]
    answers = app.retrieve(asks, PEOPLE).answers
    assert [bool(answer.error) for answer in answers] == [False, True, True, True, True, True, True, True, False]
    assert [answer.gone for answer in answers] == [False, True, True, False, False, True, True, False, False]
    assert answers[0].values == ["Alice", "Bob", "Charlie", None]
    assert "nickname" in answers[1].error
    assert "customers" in answers[2].error


def test_a_column_of_the_key_table_is_none_of_the_query(app: Any) -> None:
    for name in ("i", "k", "n", "v0", "p0"):
        (answer,) = app.retrieve(
            [query(f"select {name} from users where id = {{{{profile.user_id}}}}")], PEOPLE
        ).answers
        assert answer.gone, name


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("delete from users", "DELETE"),
        ("select name from users; select 1", "exactly one"),
        ("select name from users for update", "lock"),
        ("with gone as (delete from users returning id) select id from gone", "DELETE"),
        ("select id, name from users", "one column"),
        ("select nickname from users", "nickname"),
        ("select name from users where id = {{profile.zip}}", "zip"),
        ("select name from users where id = {{user_id}}", "profile.KEY"),
        ("select name from users where id = {{profile.user_id", "without"),
        ("selec name", "one SELECT"),
        ("select name from users where (id = 1", "cannot be read"),
        ("", "empty"),
    ],
)
def test_only_a_select_that_the_database_can_run_is_a_query(app: Any, template: str, said: str) -> None:
    with pytest.raises(Reject, match=said):
        app.check_query(template, TYPES)


def test_a_good_query_passes_the_check(app: Any) -> None:
    for ending in ("", " order by name limit 3", " group by name"):
        app.check_query(f"select name from users where id = {{{{profile.user_id}}}}{ending}", TYPES)


def test_reading_cannot_write(shop: Shop, app: Any) -> None:
    with pytest.raises(Exception, match=r"(?i)read.?only"):
        app.execute("delete from users")
    assert shop.run("select count(*) from users")[0][0] == 3


def test_postgres_compares_by_the_columns_own_type(postgres_shop: Shop) -> None:
    mood, key = "happy", "6f1c3f0e-5a49-4b0d-8a53-0d1e7c8d0a11"
    postgres_shop.run("drop table if exists tickets")
    postgres_shop.run("drop type if exists mood")
    postgres_shop.run("create type mood as enum ('happy', 'sad')")
    postgres_shop.fill("tickets", "id uuid, mood mood, tags text[], code varchar(10)", [(key, mood, ["a", "b"], "7")])
    types = {"ticket": "string", "code": "integer"}
    asks: list[Any] = [
        QueryAsk("quoted", "select mood from tickets where id = '{{profile.ticket}}'", types),
        QueryAsk("tags", "select tags from tickets where code = '{{profile.code}}'", types, is_array=False),
        QueryAsk("moods", "select mood from tickets where id::text = {{profile.ticket}}", types, is_array=True),
        ColumnAsk("column", "tickets", "mood", "id", "ticket", "string"),
        ColumnAsk("list", "tickets", "mood", "code", "code", "integer", is_array=True),
    ]
    with postgres_shop.connect() as app:
        answers = app.retrieve(asks, [{"ticket": key, "code": 7}, {"ticket": None, "code": 8}]).answers
        assert [answer.error for answer in answers] == [""] * 5
        assert [list(answer.values) for answer in answers] == [
            [mood, None],
            [["a", "b"], None],
            [[mood], None],
            [mood, None],
            [[mood], []],
        ]
        way, reason = app.way_of(asks[0])
        assert (way, "uuid" in reason) == (UNION, True)
        assert app.retrieve([asks[3]], [{"ticket": "not a uuid"}]).answers[0].values == [None]


@pytest.mark.mariadb
@pytest.mark.parametrize("collation", ["latin1_swedish_ci", "utf8mb4_unicode_ci", "utf8mb4_bin", "utf8mb4_general_ci"])
def test_mariadb_compares_texts_of_any_collation(mysql_shop: Shop, collation: str) -> None:
    charset = collation.split("_", maxsplit=1)[0]
    mysql_shop.run("drop table if exists friends")
    mysql_shop.run(
        f"create table friends (email varchar(99) primary key, name text) character set {charset} collate {collation}"
    )
    mysql_shop.run("insert into friends values ('zoë@example.com', 'Zoë')")
    types = {"email": "email"}
    asks: list[Any] = [
        QueryAsk("query", "select name from friends where email = {{profile.email}}", types),
        ColumnAsk("column", "friends", "name", "email", "email", "email"),
    ]
    with mysql_shop.connect() as app:
        answers = app.retrieve(asks, [{"email": "zoë@example.com"}, {"email": "東@example.com"}]).answers
    assert [(answer.error, list(answer.values)) for answer in answers] == [("", ["Zoë", None])] * 2


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("select max({{profile.user_id}}) from users", [1, 2, 3, None]),
        ("select {{profile.user_id}} from users where id = 1", [1, 2, 3, None]),
        ("select {{profile.user_id}} from users where id = 9", [None] * 4),
        ("select sum(total + {{profile.user_id}}) from purchases where user_id = 2", [10.0, 12.0, 14.0, None]),
    ],
)
def test_a_variable_may_be_what_the_query_gives(app: Any, template: str, expected: list[Any]) -> None:
    for people in (PEOPLE, PEOPLE[:1]):
        (answer,) = app.retrieve([query(template)], people).answers
        assert (answer.error, [plain(value) for value in answer.values]) == ("", expected[: len(people)])
