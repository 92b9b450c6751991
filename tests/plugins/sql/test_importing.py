"""Reading page by page, on every database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from plugins.contracts import Halt, Mark, Page, RecordSource, Reject
from tests.plugins.sql.conftest import Shop

TABLE = RecordSource(table="letters", changed_column="changed", id_column="id")
QUERY = RecordSource(
    query="select id, changed, body from letters where changed >= {{high_water_mark}} and body like '%e%'",
    changed_column="changed",
    id_column="id",
)


def fill(shop: Shop, type_: str, rows: list[tuple[int, Any]]) -> None:
    """Letters with their changed value in a column of the type."""
    shop.fill(
        "letters", f"id integer not null, changed {type_} null, body varchar(20)", [(*row, "hello") for row in rows]
    )


def read_all(app: Any, source: RecordSource, *, limit: int, after: Mark | None = None) -> tuple[list[int], Page]:
    """The ids of all rows in reading order, and the last page."""
    ids: list[int] = []
    for _ in range(100):
        page: Page = app.read_page(source, after=after, limit=limit)
        place = page.columns.index("id")
        ids += [row[place] for row in page.rows]
        after = page.mark
        if not page.more:
            return ids, page
    raise AssertionError("reading never ends")


TYPES: dict[str, tuple[dict[str, str], list[Any]]] = {
    "times": (
        {"postgres": "timestamptz", "mysql": "datetime(6)", "sqlite": "text"},
        ["2024-01-01 10:00:00.000001", "2024-01-01 10:00:00.000002", "2024-01-02 00:00:00.000000"],
    ),
    "dates": (dict.fromkeys(("postgres", "mysql", "sqlite"), "date"), ["2024-01-01", "2024-01-02", "2024-02-29"]),
    "numbers": (dict.fromkeys(("postgres", "mysql", "sqlite"), "bigint"), [1, 2**53 + 1, 2**53 + 2]),
    "texts": (dict.fromkeys(("postgres", "mysql", "sqlite"), "varchar(20)"), ["10", "11", "9"]),
}


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("source", [TABLE, QUERY], ids=["table", "query"])
def test_rows_without_a_changed_value_come_first_and_once(
    shop: Shop, name: str, limit: int, source: RecordSource
) -> None:
    types, values = TYPES[name]
    rows = [(1, values[1]), (2, None), (3, values[0]), (4, values[1]), (5, values[2]), (6, None), (7, values[1])]
    fill(shop, types[shop.kind], rows)
    with shop.connect() as app:
        ids, last = read_all(app, source, limit=limit)
        in_order = [3, 1, 4, 7, 5]
        assert ids == ([2, 6, *in_order] if source is TABLE else in_order)
        assert read_all(app, source, limit=limit, after=last.mark)[0] == []
        again = Mark(changed=last.mark.changed)
        assert read_all(app, source, limit=limit, after=again)[0] == [5]
        assert app.count(source, after=None) == len(ids)
        assert app.count(source, after=again) == 1


def test_a_source_without_a_changed_column_goes_by_its_id(shop: Shop) -> None:
    fill(shop, "integer", [(3, None), (1, None), (2, None)])
    source = RecordSource(table="letters", id_column="id")
    with shop.connect() as app:
        ids, last = read_all(app, source, limit=2)
        assert (ids, last.mark, last.changed) == ([1, 2, 3], Mark(id="3"), ())
        assert app.rewind(last.mark, lookback=600) == last.mark


def test_rows_that_change_while_reading_are_seen_again(shop: Shop) -> None:
    types, values = TYPES["times"]
    fill(shop, types[shop.kind], [(1, values[0]), (2, values[0]), (3, values[1])])
    with shop.connect() as app:
        page = app.read_page(TABLE, after=None, limit=1)
        shop.run(f"update letters set changed = '{values[2]}' where id = 1")
        assert read_all(app, TABLE, limit=1, after=page.mark)[0] == [2, 3, 1]


def test_changed_times_are_aware(shop: Shop) -> None:
    types, values = TYPES["times"]
    fill(shop, types[shop.kind], [(1, values[0])])
    with shop.connect() as app:
        page = app.read_page(TABLE, after=None, limit=5)
        assert list(page.changed) == [datetime(2024, 1, 1, 10, 0, 0, 1, tzinfo=UTC)]
        rewound = app.rewind(page.mark, lookback=600)
        assert rewound.id is None
        assert "09:50:00.000001" in rewound.changed


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (RecordSource(table="parcels", id_column="id"), "parcels"),
        (RecordSource(table="letters", id_column="number"), "number"),
        (RecordSource(table="letters", id_column="id", changed_column="updated"), "updated"),
        (RecordSource(table="letters"), "id column"),
        (RecordSource(query="delete from letters", id_column="id"), "DELETE"),
        (RecordSource(query="select {{profile.x}} as id", id_column="id"), "high_water_mark"),
        (RecordSource(id_column="id"), "neither a table nor a query"),
    ],
)
def test_what_cannot_be_read_stops_with_a_sentence(shop: Shop, source: RecordSource, said: str) -> None:
    fill(shop, "integer", [(1, 1)])
    with shop.connect() as app, pytest.raises(Halt, match=said):
        app.read_page(source, after=None, limit=5)


def test_a_schedules_query_is_checked(shop: Shop) -> None:
    with shop.connect() as app:
        app.check_import_query(QUERY.query)
        with pytest.raises(Reject, match="UPDATE"):
            app.check_import_query("update letters set body = ''")


def test_an_infinite_time_does_not_loop(postgres_shop: Shop) -> None:
    fill(postgres_shop, "timestamptz", [(1, "infinity"), (2, "2024-01-01"), (3, "infinity"), (4, "-infinity")])
    with postgres_shop.connect() as app:
        assert read_all(app, TABLE, limit=1)[0] == [4, 2, 1, 3]


def test_a_statement_that_takes_too_long_is_given_up(postgres_shop: Shop) -> None:
    source = RecordSource(query="select 1 as id, pg_sleep(30)", id_column="id")
    with (
        postgres_shop.connect(statement_timeout=0.2) as app,
        pytest.raises(Exception, match=r"longer than 0\.2 seconds"),
    ):
        app.read_page(source, after=None, limit=1)


def test_a_column_of_json_gives_what_it_says(shop: Shop) -> None:
    type_ = {"postgres": "jsonb", "mysql": "json", "sqlite": "text"}[shop.kind]
    rows = [(1, '["red shirt", {"größe": 42}]', "[1]"), (2, None, "2"), (3, '"quoted"', None)]
    shop.fill("baskets", f"id integer not null, items {type_}, note varchar(20)", rows)
    with shop.connect() as app:
        page = app.read_page(RecordSource(table="baskets", id_column="id"), after=None, limit=10)
    said = ["red shirt", {"größe": 42}], None, "quoted"
    held = tuple(row[1] for row in rows)
    assert tuple(row[1] for row in page.rows) == (held if shop.kind == "sqlite" else said)  # SQLite has no such type
    assert [row[2] for row in page.rows] == ["[1]", "2", None]  # text that looks like it stays text
