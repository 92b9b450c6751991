"""`ingest`: events by HTTP into a real web server with two processes, and through one worker.

One event a request over kept connections, then a thousand a request, then from the first request until every event is
processed. The limit is a COPY of the same events into a bare table.
"""

from __future__ import annotations

import io
import json
import socket
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from django.db import connection

from benchmarks.harness import Report, largest_worker_mb, wait_for, web_server, workers
from core.accounts import keys
from core.accounts.actors import SYSTEM
from events.models import Event, EventState
from profiles.models import Profile
from profiles.rules import NewRule, create_rule

CONNECTIONS = 8
BATCH = 1000
_FEWEST_SINGLES = 3000  # of a thousand, one pause that all eight connections share is the p99
_LEAST_SINGLE, _MOST_P99_MS, _LEAST_BATCHED, _LEAST_PROCESSED = 600, 50, 10_000, 3000
_PEOPLE = 5000


def run(profiles: int) -> Report:
    """Send `profiles` events; see the module's text."""
    create_rule(NewRule("user_id", "integer", is_unique=True), actor=SYSTEM)
    create_rule(NewRule("plan", "string"), actor=SYSTEM)
    create_rule(NewRule("visits", "integer"), actor=SYSTEM)
    _, token = keys.create_key("bench", scopes=["events:write"], actor=SYSTEM)
    singles = min(profiles, 5000, max(_FEWEST_SINGLES, profiles // 10))
    payloads = [_payload(number) for number in range(profiles)]
    with web_server(processes=2) as port:
        _send(port, token, [json.dumps(each).encode() for each in payloads[:200]])  # warm
        seconds_single, latencies = _send(port, token, [json.dumps(each).encode() for each in payloads[:singles]])
        with connection.cursor() as cursor:
            cursor.execute("truncate inbox, event_key")
        bodies = [json.dumps(payloads[at : at + BATCH]).encode() for at in range(0, profiles, BATCH)]
        seconds_batched, _ = _send(port, token, bodies)
        with connection.cursor() as cursor:
            cursor.execute("truncate inbox, event_key")
        with workers(1):
            started = time.perf_counter()
            _send(port, token, bodies)
            wait_for(
                lambda: Event.objects.count() >= profiles, what="all events", within=profiles / 200 + 60, every=0.25
            )
            seconds = time.perf_counter() - started
    report = Report("ingest", profiles, seconds, _copy_bare(payloads), largest_worker_mb())
    report.detail = {
        "single_requests_per_second": round(singles / seconds_single),
        "single_p50_ms": round(statistics.median(latencies) * 1000, 1),
        "single_p99_ms": round(sorted(latencies)[int(len(latencies) * 0.99)] * 1000, 1),
        "batched_events_per_second": round(profiles / seconds_batched),
        "processed_events_per_second": round(profiles / seconds),
    }
    _verify(report, profiles)
    return report


def _payload(number: int) -> dict[str, object]:
    plan = ("free", "silver", "gold")[number % 3]
    return {
        "user_id": number % _PEOPLE,
        "plan": plan,
        "visits": number,
        "page": f"/products/{number % 997}",
        "n": number,
    }


def _send(port: int, token: str, bodies: Sequence[bytes]) -> tuple[float, list[float]]:
    """Send every body over some kept connections at once; the seconds for all, and those of each request."""
    head = (
        f"POST /api/v1/events/ HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    ).encode()

    def send_part(part: Sequence[bytes]) -> list[float]:
        taken = []
        with socket.create_connection(("127.0.0.1", port)) as line, line.makefile("rb") as answers:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for body in part:
                started = time.perf_counter()
                line.sendall(head + str(len(body)).encode() + b"\r\n\r\n" + body)
                _read_answer(answers)
                taken.append(time.perf_counter() - started)
        return taken

    started = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        parts = list(pool.map(send_part, [bodies[at::CONNECTIONS] for at in range(CONNECTIONS)]))
    return time.perf_counter() - started, [each for part in parts for each in part]


def _read_answer(answers: io.BufferedReader) -> None:
    status = answers.readline()
    if b" 202 " not in status:
        raise RuntimeError(f"the server answered {status!r}: {answers.read(500)!r}")
    length = 0
    while (line := answers.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    answers.read(length)


def _copy_bare(payloads: Sequence[dict[str, object]]) -> float:
    """The raw limit: the same payloads into a bare table."""
    lines = "\n".join(json.dumps(each) for each in payloads)
    with connection.cursor() as cursor:
        cursor.execute("create table bare (payload json)")
        started = time.perf_counter()
        cursor.copy_expert("copy bare from stdin (format csv, delimiter e'\\x01', quote e'\\x02')", io.StringIO(lines))
        return time.perf_counter() - started


def _verify(report: Report, count: int) -> None:
    """Every event is stored once and everyone holds what their last one said."""
    stored = Event.objects.filter(state=EventState.PROCESSED).count()
    report.check(stored == count, f"{stored} of {count} events are processed")
    people = min(count, _PEOPLE)
    report.check(Profile.objects.count() == people, f"{Profile.objects.count()} profiles of {people} people")
    figures = report.detail
    wanted = (
        ("single_requests_per_second", _LEAST_SINGLE, False),
        ("single_p99_ms", _MOST_P99_MS, True),
        ("batched_events_per_second", _LEAST_BATCHED, False),
        ("processed_events_per_second", _LEAST_PROCESSED, False),
    )
    for name, limit, is_most in wanted:
        holds = figures[name] <= limit if is_most else figures[name] >= limit
        report.check(holds, f"{name} is {figures[name]}, wanted {'at most' if is_most else 'at least'} {limit}")
