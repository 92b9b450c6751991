"""The demo beside the suite's own database, with databases of its own for each run of the suite."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from apps_connectors import connections
from grouparoo import demo
from grouparoo.demo.databases import Names
from grouparoo.demo.mailchimp import Place, run_mailchimp


@pytest.fixture
def names(
    postgres_server: Callable[[str], str],
    transactional_db: None,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Names]:
    """The demo's databases, not made yet; whatever was made is gone after the test."""
    found = Names(shop=f"demo_shop_{os.getpid()}", newsletter=f"demo_newsletter_{os.getpid()}")
    monkeypatch.setattr(demo, "NAMES", found)
    settings.VAR = tmp_path
    with closing(psycopg2.connect(postgres_server("postgres"))) as server:
        server.autocommit = True
        try:
            yield found
        finally:
            connections.close_all()
            with server.cursor() as cursor:
                cursor.execute(f"drop database if exists {found.shop} with (force)")
                cursor.execute(f"drop database if exists {found.newsletter} with (force)")


@pytest.fixture
def mailchimp(names: Names, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Where the demo's Mailchimp answers while the test runs."""
    monkeypatch.setattr("grouparoo.demo.mailchimp.PORT", 0)
    with run_mailchimp() as place:
        yield place
