"""The contract suite on real servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

import pytest

from plugins.contracts import RecordSource, SyncMode, Target
from plugins.mysql import Mysql
from plugins.postgres import Postgres
from plugins.sqlite import Sqlite
from plugins.testing import EXPORT_FIELDS, PluginContract, SourceRow
from tests.plugins.sql.conftest import Shop


class SqlContract(PluginContract):
    """What the SQL plugins' suites share."""

    time_type = "timestamp(6)"
    text_type = "text"
    shop: Shop

    def working_options(self) -> Mapping[str, Any]:
        return self.shop.options

    def broken_options(self) -> Mapping[str, Mapping[str, Any]]:
        options = self.shop.options
        return {
            "wrong password": {**options, "user": "nobody-we-know", "password": "tr0ub4dor&3"},
            "unknown database": {**options, "database": "no_such_database"},
            "unknown host": {**options, "host": "no-such-host.invalid"},
            "nothing listens": {**options, "host": "127.0.0.1", "port": 1},
        }

    def fill_source(self, rows: Sequence[SourceRow]) -> RecordSource:
        self.shop.fill(
            "people",
            f"id bigint not null, changed_at {self.time_type} not null, name {self.text_type}",
            [(row.id, self.time(row), row.name) for row in rows],
            key="id",
        )
        return RecordSource(table="people", changed_column="changed_at", id_column="id")

    def time(self, row: SourceRow) -> Any:
        return row.changed_at.astimezone(UTC).replace(tzinfo=None)

    def missing_source(self) -> RecordSource:
        return RecordSource(table="no_such_table", changed_column="changed_at", id_column="id")

    def name_query(self, table: str) -> str:
        return f"select name from {table} where id = {{{{profile.user_id}}}} order by name"

    def make_target(self, *, mode: SyncMode = SyncMode.SYNC, groups: tuple[str, ...] = ()) -> Target:
        self.shop.run("drop table if exists contacts")
        self.shop.run("drop table if exists contact_groups")
        options = {"table": "contacts", "create_table": True, "groups_table": "contact_groups"}
        with self.connect() as app:
            target = Target(options, "email", EXPORT_FIELDS, mode=mode, groups=groups)
            app.export(target, [])
        return target

    def held_groups(self, app: Any, target: Target, key: Any) -> set[str]:
        place = app.placeholder
        return {row[0] for row in self.shop.run(f"select group_name from contact_groups where email = {place}", (key,))}


class TestPostgres(SqlContract):
    """PostgreSQL."""

    app_type = Postgres

    @pytest.fixture(autouse=True)
    def _shop(self, postgres_shop: Shop) -> None:
        self.shop = postgres_shop

    def refused_payload(self) -> Mapping[str, Any]:
        return {"email": "bob@example.com", "name": "Bob", "visits": 2**70}

    def cut_connection(self, app: Any) -> None:
        self.shop.run("select pg_terminate_backend(%s)", (app.connection.info.backend_pid,))


@pytest.mark.mariadb
class TestMysql(SqlContract):
    """The MySQL plugin on MariaDB."""

    app_type = Mysql
    time_type = "datetime(6)"
    text_type = "longtext"

    @pytest.fixture(autouse=True)
    def _shop(self, mysql_shop: Shop) -> None:
        self.shop = mysql_shop

    def refused_payload(self) -> Mapping[str, Any]:
        return {"email": "bob@example.com", "name": "Bob", "visits": 2**70}

    def cut_connection(self, app: Any) -> None:
        self.shop.run(f"kill {app.connection.thread_id()}")


class TestSqlite(SqlContract):
    """SQLite."""

    app_type = Sqlite
    time_type = "text"

    @pytest.fixture(autouse=True)
    def _shop(self, sqlite_shop: Shop) -> None:
        self.shop = sqlite_shop

    def broken_options(self) -> Mapping[str, Mapping[str, Any]]:
        text = self.tmp_path / "letter.txt"
        text.write_text("Dear Alice, " * 100)
        return {
            "no file": {"path": str(self.tmp_path / "missing.sqlite")},
            "not a database": {"path": str(text)},
        }

    def time(self, row: SourceRow) -> str:
        return row.changed_at.isoformat()
