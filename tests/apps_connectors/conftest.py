from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.apps_connectors.factories import Diary, installed_diarist


@pytest.fixture
def diary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Diary]:
    """The diary of the one plugin that these tests use."""
    with installed_diarist(monkeypatch) as diary:
        yield diary
