"""Counts how often something happens within a while, over all processes, in Redis.

Losing a count costs nothing but a limit that comes later: while Redis is away nothing is limited, and it is asked
again only after a pause, so that no request waits for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import redis
from django.conf import settings

_PAUSE_SECONDS = 5.0
_TIMEOUT_SECONDS = 0.25

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Connection:
    client: redis.Redis | None = None
    asks_again_at: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


_connection = _Connection()


def count(what: str, *, seconds: int) -> tuple[int, float] | None:
    """Note that `what` happens now: how often it did in the present window, and the seconds until the next window.

    None while Redis is away.
    """
    now = time.time()
    window = int(now // seconds)
    name = f"rate:{what}:{seconds}:{window}"

    def add(client: redis.Redis) -> int:
        with client.pipeline(transaction=False) as pipe:
            pipe.incr(name)
            pipe.expire(name, seconds + 1)
            return int(pipe.execute()[0])

    times = _ask(add)
    return None if times is None else (times, (window + 1) * seconds - now)


def left_of(what: str, *, most: int, seconds: int) -> float:
    """Seconds until `what` may happen again; 0 when it has happened less than `most` times in the present window."""
    now = time.time()
    window = int(now // seconds)
    found = _ask(lambda client: client.get(f"rate:{what}:{seconds}:{window}"))
    return (window + 1) * seconds - now if found is not None and int(found) >= most else 0.0


def forget() -> None:
    """Connect anew the next time."""
    _connection.client = None
    _connection.asks_again_at = 0.0


def _ask(question: Callable[[redis.Redis], Any]) -> Any:
    """The answer; None while Redis is away."""
    if time.monotonic() < _connection.asks_again_at:
        return None
    try:
        return question(_client())
    except (redis.RedisError, OSError) as error:
        _connection.asks_again_at = time.monotonic() + _PAUSE_SECONDS
        log.warning("limits are not kept for %s seconds: %s", _PAUSE_SECONDS, error)
        return None


def _client() -> redis.Redis:
    with _connection.lock:
        if _connection.client is None:
            _connection.client = redis.Redis.from_url(
                settings.REDIS_URL, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS
            )
        return _connection.client
