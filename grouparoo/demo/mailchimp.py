"""The demo's Mailchimp: no account and no network, but a server on this machine that answers as the real one does.

It lives as long as the demo command and keeps what it received in a file of the installation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings

from core.lib.processes import find_free_port
from plugins.mailchimp.standin.server import KEY, merge_fields, run_standin

AUDIENCE = "a1b2c3d4e5"
PORT = 8025


@dataclass(frozen=True, slots=True)
class Place:
    """Where the stand-in answers. Its page at the same address shows what it received."""

    url: str

    def app_options(self) -> dict[str, str]:
        """The options of a `mailchimp` App that is aimed at it."""
        return {"api_key": KEY, "list_id": AUDIENCE, "server_url": self.url}


@contextmanager
def run_mailchimp() -> Iterator[Place]:
    """Answer until the end of the block, at port 8025 or, where that is taken, at a free one."""
    settings.VAR.mkdir(parents=True, exist_ok=True)
    with run_standin(settings.VAR / "demo-mailchimp.sqlite", port=find_free_port(preferred=PORT)) as standin:
        standin.store.add_list(AUDIENCE, "Customers", merge_fields(FNAME="text", LNAME="text"))
        yield Place(standin.url)
