"""The product's real processes on servers of its own, as the tests of faults have them, and the tools it writes to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.mailchimp.standin.server import Standin, merge_fields, run_standin
from tests.faults.conftest import breakable, product
from tests.receiver import Receiver, run_receiver

__all__ = ["breakable", "product"]

AUDIENCE = "a1b2c3d4e5"


@pytest.fixture
def mailchimp(tmp_path: Path) -> Iterator[Standin]:
    """A Mailchimp with an empty audience."""
    with run_standin(tmp_path / "mailchimp.sqlite") as standin:
        standin.store.add_list(AUDIENCE, "Customers", merge_fields(FNAME="text"))
        yield standin


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook of the shop's own."""
    with run_receiver() as running:
        yield running
