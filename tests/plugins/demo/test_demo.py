"""The demo shop: it keeps the contract, and is the shop of the story."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime
from typing import Any

from plugins.contracts import ColumnAsk, QueryAsk, RecordSource, SyncMode, Target
from plugins.demo import Demo
from plugins.demo.shop import make_shop
from plugins.testing import EXPORT_FIELDS, PluginContract, SourceRow

DAY = date(2024, 3, 1)


class TestDemo(PluginContract):
    app_type = Demo

    def working_options(self) -> Mapping[str, Any]:
        return {"path": str(self.tmp_path / "shop.sqlite"), "customers": 5}

    def broken_options(self) -> Mapping[str, Mapping[str, Any]]:
        return {"a missing folder": {"path": str(self.tmp_path / "missing" / "shop.sqlite")}}

    def run(self, sql: str, rows: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self.connect() as app:
            app.test()
        with closing(sqlite3.connect(self.tmp_path / "shop.sqlite")) as connection, connection:
            return connection.executemany(sql, rows).fetchall() if "?" in sql else connection.execute(sql).fetchall()

    def fill_source(self, rows: Sequence[SourceRow]) -> RecordSource:
        self.run("drop table if exists people")
        self.run("create table people (id integer primary key, changed_at timestamp, name text)")
        self.run(
            "insert into people values (?, ?, ?)",
            [(row.id, row.changed_at.strftime("%Y-%m-%d %H:%M:%S.%f"), row.name) for row in rows],
        )
        return RecordSource(table="people", changed_column="changed_at", id_column="id")

    def missing_source(self) -> RecordSource:
        return RecordSource(table="no_such_table", id_column="id")

    def name_query(self, table: str) -> str:
        return f"select name from {table} where id = {{{{profile.user_id}}}} order by name"

    def make_target(self, *, mode: SyncMode = SyncMode.SYNC, groups: tuple[str, ...] = ()) -> Target:
        self.run("drop table if exists received")
        self.run("drop table if exists received_groups")
        return Target({}, "email", EXPORT_FIELDS, mode=mode, groups=groups)

    def held_groups(self, app: Any, target: Target, key: Any) -> set[str]:
        return {group for (group,) in self.run(f"select group_name from received_groups where email = '{key}'")}

    def test_the_shop_can_be_imported_and_asked_at_once(self) -> None:
        asks = [
            QueryAsk(
                "first_name", "select first_name from users where id = {{profile.user_id}}", {"user_id": "integer"}
            ),
            ColumnAsk("spent", "purchases", "total", "user_id", "user_id", "integer", aggregation="sum"),
        ]
        with self.connect() as app:
            page = app.read_page(
                RecordSource(table="users", changed_column="updated_at", id_column="id"), after=None, limit=9
            )
            answers = app.retrieve(asks, [{"user_id": 3}]).answers
        assert len(page.rows) == 5
        assert [list(answer.values) for answer in answers] == [["Evan"], [0]]


def test_the_same_day_gives_the_same_shop() -> None:
    assert make_shop(DAY, customers=50) == make_shop(DAY, customers=50)
    assert make_shop(DAY, customers=50) != make_shop(date(2024, 3, 2), customers=50)


def test_every_row_belongs_to_a_customer_and_nothing_is_newer_than_the_day() -> None:
    shop = make_shop(DAY, customers=300)
    ids = {row[0] for row in shop["users"].rows}
    assert ids == set(range(1, 301))
    emails = [row[1] for row in shop["users"].rows]
    assert len(set(emails)) == 300
    assert all(email.isascii() for email in emails)
    midnight = datetime(2024, 3, 1, tzinfo=UTC)
    for name, table in shop.items():
        assert all(len(row) == len(table.columns) for row in table.rows)
        assert [row[0] for row in table.rows] == list(range(1, len(table.rows) + 1))
        assert all(value <= midnight for row in table.rows for value in row if isinstance(value, datetime)), name
        assert name == "users" or {row[1] for row in table.rows} <= ids


def test_there_is_someone_for_every_group_of_the_story() -> None:
    shop = make_shop(DAY)
    users, purchases, refunds = shop["users"].rows, shop["purchases"].rows, shop["refunds"].rows
    buyers = {row[1] for row in purchases}
    assert any(row[5] == "en-us" for row in users)
    assert any(row[5] != "en-us" for row in users)
    assert 3 not in buyers
    assert buyers < {row[0] for row in users}
    assert buyers > {row[1] for row in refunds}
    assert any((datetime(2024, 3, 1, tzinfo=UTC) - row[4]).days > 70 for row in purchases)
    several = [row[1] for row in purchases if row[1] in {refund[1] for refund in refunds}]
    assert len(several) > len(set(several)), "someone with several purchases and a refund"
