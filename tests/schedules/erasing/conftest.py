from __future__ import annotations

import pytest

from tests.schedules.erasing.world import World, make_world


@pytest.fixture
def world(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> World:
    """Alice, who is to be erased, Bob, who stays, and a destination that holds both."""
    return make_world(monkeypatch)
