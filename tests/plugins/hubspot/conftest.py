"""A stand-in for HubSpot of each test's own, and the plugin aimed at it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from plugins.hubspot import Hubspot
from tests.plugins.hubspot.account import Account
from tests.plugins.hubspot.standin import Standin, run_standin


class LocalHubspot(Hubspot):
    """HubSpot, allowed to call this machine."""

    private_hosts_allowed = True


def options_for(standin: Standin, **more: Any) -> dict[str, Any]:
    """Options with which the plugin talks to the stand-in."""
    return {"access_token": standin.account.token, "server_url": standin.url, **more}


@pytest.fixture
def standin() -> Iterator[Standin]:
    with run_standin() as running:
        yield running


@pytest.fixture
def account(standin: Standin) -> Account:
    return standin.account


@pytest.fixture
def hubspot(standin: Standin) -> Iterator[LocalHubspot]:
    with LocalHubspot(options_for(standin)) as app:
        yield app
