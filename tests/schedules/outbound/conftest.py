"""The world of outbound events."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apps_connectors import connections
from tests.schedules.outbound.world import World, make_world


@pytest.fixture
def world(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Rules, groups, and a tool in memory that takes events."""
    yield make_world(monkeypatch)
    connections.close_all()
