"""Wake-ups: tell the workers that there is something to do. Losing one costs a second or so, never any work.

Lower modules name a topic and nothing else; `grouparoo/wiring.py` says which task each topic calls. Sweeps find
everything that no wake-up announced.
"""

from __future__ import annotations

import logging
import threading
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
    waiting: set[str] = field(default_factory=set)  # topics of which a later call is arranged
    lock: threading.Lock = field(default_factory=threading.Lock)
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

    Several calls within a quarter of a second are two at most, the last of them at its end. A broker that is down is
    counted and logged, nothing more.
    """
    transaction.on_commit(lambda: _send(topic))


def _send(topic: str) -> None:
    """At once, or when the last call is a quarter of a second ago: what came in between is told too, by one call."""
    send = _wakes.send
    if send is None:
        return
    with _wakes.lock:
        wait = _wakes.last.get(topic, -COALESCE_SECONDS) + COALESCE_SECONDS - time.monotonic()
        if wait > 0:
            if topic not in _wakes.waiting:
                _wakes.waiting.add(topic)
                later = threading.Timer(wait, _send_late, [topic, send])
                later.daemon = True
                later.start()
            return
        _wakes.last[topic] = time.monotonic()
    _call(topic, send)


def _send_late(topic: str, send: Callable[[str], None]) -> None:
    with _wakes.lock:
        _wakes.waiting.discard(topic)
        _wakes.last[topic] = time.monotonic()
    _call(topic, send)


def _call(topic: str, send: Callable[[str], None]) -> None:
    try:
        send(topic)
    except Exception as error:  # noqa: BLE001  whatever the broker's client raises: the row is durable, a sweep finds it
        _wakes.failed += 1
        log.warning("could not wake %s: %s", topic, error)
