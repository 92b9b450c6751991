"""A stand-in for Customer.io of each test's own, and the plugin aimed at it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from plugins.customerio import Customerio
from tests.plugins.customerio.standin import Standin, run_standin


class LocalCustomerio(Customerio):
    """Customer.io, allowed to call this machine."""

    private_hosts_allowed = True


def options_for(standin: Standin, **more: Any) -> dict[str, Any]:
    """Options with which the plugin talks to the stand-in."""
    return {"site_id": standin.site_id, "api_key": standin.key, "server_url": standin.url, **more}


@pytest.fixture
def standin() -> Iterator[Standin]:
    with run_standin() as running:
        yield running


@pytest.fixture
def customerio(standin: Standin) -> Iterator[LocalCustomerio]:
    with LocalCustomerio(options_for(standin)) as app:
        yield app
