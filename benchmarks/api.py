"""`api`: lists of fifty profiles by the REST API, from a web server with two processes, at N profiles.

Over kept connections, each of which pages from the newest on as a program does that reads everyone. The limit is plain
SQL that fetches the same pages one after the other.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from urllib.parse import urlsplit

from django.db import connection

from benchmarks.filling import fill
from benchmarks.harness import Report, largest_worker_mb, other_database, web_server
from core.accounts import keys
from core.accounts.actors import SYSTEM

CONNECTIONS, REQUESTS, PAGE = 8, 2000, 50
LEAST = 200


def run(profiles: int) -> Report:
    """Read pages of people; see the module's text."""
    with other_database("source") as source:
        fill(profiles, source=source)
    _, token = keys.create_key("reader", scopes=["profiles:read"], actor=SYSTEM)
    each = REQUESTS // CONNECTIONS
    with web_server(processes=2) as port:
        _read(port, token, 20)  # warm
        began = time.perf_counter()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            parts = list(pool.map(lambda _: _read(port, token, each), range(CONNECTIONS)))
        seconds = time.perf_counter() - began
    report = Report("api", profiles, seconds, _plain_sql(each) * CONNECTIONS, largest_worker_mb())
    taken = sorted(one for part, _ in parts for one in part)
    per_second = round(len(taken) / seconds)
    report.detail = {
        "requests_per_second": per_second,
        "p50_ms": round(taken[len(taken) // 2] * 1000, 1),
        "p99_ms": round(taken[int(len(taken) * 0.99)] * 1000, 1),
    }
    report.check(per_second >= LEAST, f"{per_second} requests a second, wanted at least {LEAST}")
    expected = _expected(each)
    for _, guids in parts:
        report.check(guids == expected, "a connection did not get everyone in their order")
    return report


def _read(port: int, token: str, count: int) -> tuple[list[float], list[str]]:
    """Follow `count` pages, beginning anew after the last one: the seconds of each, and whom they held."""
    line = HTTPConnection("127.0.0.1", port, timeout=30)
    start = path = f"/api/v1/profiles/?limit={PAGE}"
    taken, guids = [], []
    for _ in range(count):
        began = time.perf_counter()
        line.request("GET", path, headers={"Authorization": f"Bearer {token}", "Host": f"localhost:{port}"})
        response = line.getresponse()
        body = response.read()
        taken.append(time.perf_counter() - began)
        if response.status != 200:
            raise RuntimeError(f"the server answered {response.status}: {body[:500]!r}")
        answer = json.loads(body)
        guids += [row["id"] for row in answer["results"]]
        following = urlsplit(answer["next"] or "")
        path = f"{following.path}?{following.query}" if answer["next"] else start
    line.close()
    return taken, guids


def _plain_sql(pages: int) -> float:
    """The raw limit: the same pages by the primary key, on one connection."""
    last = "ffffffff-ffff-ffff-ffff-ffffffffffff"
    began = time.perf_counter()
    with connection.cursor() as cursor:
        for _ in range(pages):
            cursor.execute(
                "select guid, properties, created_at, updated_at, hydrated_at, merged_into from profile"
                " where guid < %s order by guid desc limit %s",
                [last, PAGE],
            )
            rows = cursor.fetchall()
            last = str(rows[-1][0]) if len(rows) == PAGE else "ffffffff-ffff-ffff-ffff-ffffffffffff"
    return time.perf_counter() - began


def _expected(pages: int) -> list[str]:
    """Whom `pages` pages hold, from the newest on, beginning anew after the last one."""
    with connection.cursor() as cursor:
        cursor.execute("select guid::text from profile where merged_into is null order by guid desc")
        everyone = [row[0] for row in cursor.fetchmany(pages * PAGE)]
    if not everyone:
        return []
    guids: list[str] = []
    at = 0
    for _ in range(pages):
        guids += everyone[at : at + PAGE]
        at = at + PAGE if at + PAGE < len(everyone) else 0
    return guids
