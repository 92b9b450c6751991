"""Waits for what other processes do: polls with a deadline, never just sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(is_so: Callable[[], bool], *, what: str, within: float = 10.0) -> None:
    """Return when `is_so()` holds; fail with `what` after `within` seconds."""
    deadline = time.monotonic() + within
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f"Waited {within:g} s in vain until {what}.")
        time.sleep(0.02)
