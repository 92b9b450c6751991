"""A small shop in a SQLite file, as a source for property rules."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from apps_connectors import apps_store
from apps_connectors.models import App
from core.accounts.actors import SYSTEM
from profiles.models import ProfilePropertyRule
from profiles.rules import NewRule, create_rule

TABLES = """
create table users (id integer primary key, first_name text, email text, age text);
create table purchases (id integer primary key, user_id integer, total numeric, at text);
insert into users values (1, 'Alice', 'alice@example.com', '41'), (2, 'Bob', 'bob@example.com', 'old'),
                         (3, 'Charlie', 'alice@example.com', null);
insert into purchases (user_id, total, at) values
    (1, 10, '2026-01-01'), (1, 5.5, '2026-02-01'), (2, 99, '2026-01-15');
"""


class Shop:
    """The file, and the App that reads it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "shop.db"
        self.run(TABLES)
        self.app: App = apps_store.create_app("sqlite", "Shop", {"path": str(self.path)}, actor=SYSTEM)

    def run(self, statements: str) -> None:
        """Change the shop's tables."""
        with sqlite3.connect(self.path) as connection:
            connection.executescript(statements)

    def query(self, key: str, value_type: str, text: str, **more: Any) -> ProfilePropertyRule:
        """A query rule on the shop."""
        return create_rule(NewRule(key, value_type, app=self.app, query=text, **more), actor=SYSTEM)

    def column(
        self,
        key: str,
        value_type: str,
        *,
        key_rule: str = "user_id",
        rule: Mapping[str, Any] = MappingProxyType({}),
        **spec: Any,
    ) -> ProfilePropertyRule:
        """A column rule on the shop, matched by user_id; `rule` is what else it is."""
        new = NewRule(key, value_type, app=self.app, column=spec, column_key=key_rule, **rule)
        return create_rule(new, actor=SYSTEM)
