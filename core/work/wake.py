"""Wake-ups: tell the workers that there is something to do. Losing one costs a second or so, never any work.

Lower modules name a topic and nothing else; `grouparoo/wiring.py` says which task each topic calls. Sweeps find
everything that no wake-up announced.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from django.db import transaction

log = logging.getLogger(__name__)

COALESCE_SECONDS = 0.25


@dataclass(slots=True)
class _Wakes:
    """What this process knows of topics: who to call, when it last did, how often that failed."""

    send: Callable[[str], None] | None = None
    last: dict[str, float] = field(default_factory=dict)
    failed: int = 0


_wakes = _Wakes()


def connect(send: Callable[[str], None]) -> None:
    """Called once at start by the composition root: `send(topic)` puts the topic's task on its queue."""
    _wakes.send = send


def failures() -> int:
    """How many wake-ups of this process could not be delivered."""
    return _wakes.failed


def wake(topic: str) -> None:
    """After the current transaction commits (at once when there is none), wake the workers of this topic.

    Several calls within a quarter of a second are one. A broker that is down is counted and logged, nothing more.
    """
    transaction.on_commit(lambda: _send(topic))


def _send(topic: str) -> None:
    now = time.monotonic()
    if _wakes.send is None or now - _wakes.last.get(topic, -COALESCE_SECONDS) < COALESCE_SECONDS:
        return
    _wakes.last[topic] = now
    try:
        _wakes.send(topic)
    except Exception as error:  # noqa: BLE001  whatever the broker's client raises: the row is durable, a sweep finds it
        _wakes.failed += 1
        log.warning("could not wake %s: %s", topic, error)
