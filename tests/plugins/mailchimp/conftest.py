"""A stand-in for Mailchimp of each test's own, and the plugin aimed at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plugins.mailchimp import Mailchimp
from plugins.mailchimp.standin.server import Standin, merge_fields, run_standin

LIST = "a1b2c3d4e5"


class LocalMailchimp(Mailchimp):
    """Mailchimp, allowed to call this machine."""

    private_hosts_allowed = True


def options_for(standin: Standin, **more: Any) -> dict[str, Any]:
    """Options with which the plugin talks to the stand-in."""
    return {"api_key": standin.key, "list_id": LIST, "server_url": standin.url, **more}


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[Standin]:
    with run_standin(tmp_path / "mailchimp.sqlite") as running:
        fields = merge_fields(
            ID="text", NAME="text", SPENT="number", VISITS="number", SINCE="text", VIP="text", FNAME="text",
            JOINED="date", BIRTHDAY="birthday", PHONE="phone:US", MOBILE="phone", ZIP="zip", HOME="address", SITE="url",
        )  # fmt: skip
        running.store.add_list(LIST, "Newsletter", fields)
        yield running


@pytest.fixture
def mailchimp(standin: Standin) -> Iterator[LocalMailchimp]:
    with LocalMailchimp(options_for(standin)) as app:
        yield app
