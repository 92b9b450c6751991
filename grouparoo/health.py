"""`/healthz` and `/readyz`, for load balancers, container engines and whoever watches.

They are answered before anything else looks at a request: by any host name, without sign-in, over http too. They tell
states and numbers, no names, addresses or versions.

`/healthz` says that this process answers. `/readyz` says how each part is. What this process cannot do without (the
database, its tables) makes it 503; the others make it "degraded" with 200: while workers or the broker are away the web
still takes events and keeps them, so it must not be taken out of service for that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils import timezone
from kombu.exceptions import OperationalError

from core.work import partitions
from grouparoo.celery import app as celery

KEPT_SECONDS = 5.0  # an answer is given again for so long, so that asking often costs nothing
LONGEST_BACKLOG_SECONDS = 300.0
_PING_SECONDS = 0.5
_BROKER_SECONDS = 0.5

# Since when the oldest thing that could be worked on has waited: work nobody holds, events of the inbox.
_BACKLOG = """
    select coalesce(extract(epoch from clock_timestamp() - least(
        (select min(next_at) from work
          where state in ('pending', 'running') and next_at <= clock_timestamp()
            and (lease_until is null or lease_until < clock_timestamp())),
        (select min(received_at) from inbox
          where lease_until is null or lease_until < clock_timestamp()))), 0)::float8
"""


@dataclass(slots=True)
class _Kept:
    until: float = 0.0
    answer: dict[str, Any] = field(default_factory=dict)


_kept = _Kept()


class HealthMiddleware:
    """Answers the two addresses and passes everything else on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path == "/healthz":
            return _answer({"status": "ok"})
        if request.path == "/readyz":
            return _answer(read_readiness())
        return self.get_response(request)


def read_readiness() -> dict[str, Any]:
    """How each part is, at most a few seconds old: {"status", "parts": {name: {"ok", ...}}}."""
    if time.monotonic() >= _kept.until:
        _kept.answer = _look()
        _kept.until = time.monotonic() + KEPT_SECONDS
    return _kept.answer


def forget() -> None:
    """Look anew the next time."""
    _kept.until = 0.0


def _look() -> dict[str, Any]:
    needed = _read_database()
    wanted = {"broker": _read_broker(), "workers": _read_workers()}
    if needed["database"]["ok"] and needed["migrations"]["ok"]:
        wanted |= {"backlog": _read_backlog(), "partitions": _read_partitions()}
    parts: dict[str, Mapping[str, Any]] = {**needed, **wanted}
    if not all(part["ok"] for part in needed.values()):
        status = "not ready"
    else:
        status = "ready" if all(part["ok"] for part in wanted.values()) else "degraded"
    return {"status": status, "parts": parts}


def _read_database() -> dict[str, dict[str, Any]]:
    unknown = {"ok": False, "problem": "The database does not answer."}
    try:
        connection.ensure_connection()
        if not connection.is_usable():
            connection.close()
            connection.ensure_connection()
        executor = MigrationExecutor(connection)
        waiting = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
        if waiting:
            problem = "Run: python manage.py prepare"
            return {"database": {"ok": True}, "migrations": {"ok": False, "waiting": waiting, "problem": problem}}
    except DatabaseError:
        return {"database": unknown, "migrations": unknown}
    return {"database": {"ok": True}, "migrations": {"ok": True}}


def _read_broker() -> dict[str, Any]:
    try:
        client = redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=_BROKER_SECONDS, socket_connect_timeout=_BROKER_SECONDS
        )
        with client:
            client.ping()
    except (redis.RedisError, OSError):
        return {"ok": False, "problem": "Redis does not answer. Events are kept; work waits for the next sweep."}
    return {"ok": True}


def _read_workers() -> dict[str, Any]:
    try:
        seen = len(celery.control.ping(timeout=_PING_SECONDS))
    except (OperationalError, redis.RedisError, OSError):
        return {"ok": False, "seen": 0, "problem": "Workers cannot be asked while Redis is away."}
    if not seen:
        return {"ok": False, "seen": 0, "problem": "No worker answers: start one."}
    return {"ok": True, "seen": seen}


def _read_backlog() -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(_BACKLOG)
        seconds = float(cursor.fetchone()[0])
    if seconds > LONGEST_BACKLOG_SECONDS:
        problem = "Work waits and nobody does it: look at the workers and at beat."
        return {"ok": False, "oldest_seconds": round(seconds), "problem": problem}
    return {"ok": True, "oldest_seconds": round(seconds)}


def _read_partitions() -> dict[str, Any]:
    """Rows without a partition of their week go to the default one: nothing is lost, but nothing drops them later."""
    now = timezone.now()
    absent = sum(start <= now for _, start in partitions.missing(now))
    if absent:
        return {"ok": False, "missing": absent, "problem": "Beat makes partitions every hour: look whether it runs."}
    return {"ok": True, "missing": 0}


def _answer(said: Mapping[str, Any]) -> JsonResponse:
    response = JsonResponse(said, status=503 if said["status"] == "not ready" else 200)
    response["Cache-Control"] = "no-store"
    return response
