"""The demo shop: its tables, and the configuration that a person would click together. `manage.py demo` calls it.

Everything goes through the product's own functions; nothing here writes a table of the product. Each function may be
called again on the same data: a second start goes on where the first one ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.core.management.base import CommandError

from grouparoo.screen import Bar


@dataclass(frozen=True, slots=True)
class Flow:
    """How far the flow is. `problem` says what went wrong and what to do; empty when all is well."""

    bars: Sequence[Bar]
    is_done: bool
    problem: str = ""


def load(*, write: Callable[[str], None]) -> None:
    """Make the shop's database and the configuration, where they are missing. No worker runs yet."""
    raise CommandError("The demo shop does not exist yet.")


def start() -> None:
    """Ask for the import runs, unless the flow has been asked for before. Workers are running."""


def look() -> Flow:
    """Read how far imports, groups and exports are; called twice a second from one thread."""
    return Flow(bars=(), is_done=True)


def summarize() -> list[str]:
    """The lines that say what happened, and with which email and password to sign in."""
    return []
