"""`outbound`: events by one subscription to a signed receiver on this machine.

From the first event that is accepted until the last has arrived. Two workers process the events and send them, with
conditions on payload and person. The limit is a bare client that sends the same signed bodies over as many kept
connections to the same receiver.
"""

from __future__ import annotations

import io
import json
import secrets
import socket
import sys
import time
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.request import Request, urlopen

from django.db import connection
from standardwebhooks import Webhook

from apps_connectors import apps_store
from benchmarks.harness import Report, largest_worker_mb, wait_for, workers
from core.accounts.actors import SYSTEM
from core.lib.processes import ProcessGroup
from events.inbox import accept
from events.models import SourceKind
from profiles.models import Profile
from profiles.rules import NewRule, create_rule
from schedules.outbound.bodies import SubscriptionData
from schedules.outbound.models import OutboundDelivery, Subscription
from schedules.outbound.subscriptions import create_subscription

CONNECTIONS = 3  # of the App's four calls at the same time one is left for people who try things
BATCH = 1000
_LEAST = 1500
_PEOPLE = 1000
_SECRET = "whsec_" + b64encode(secrets.token_bytes(32)).decode()


def run(profiles: int) -> Report:
    """Send `profiles` events; see the module's text."""
    with _receiver() as port, workers(2):
        _make_people(min(profiles, _PEOPLE))
        _subscribe(port)
        started = time.perf_counter()
        for at in range(0, profiles, BATCH):
            events = [_cart(number) for number in range(at, min(at + BATCH, profiles))]
            accept(events, source_kind=SourceKind.API_KEY, source_id=1)
        within = profiles / 100 + 60
        wait_for(lambda: _count(port) >= profiles, what="all events to arrive", within=within, every=0.05)
        seconds = time.perf_counter() - started
        open_ = OutboundDelivery.objects.filter(next_at__isnull=False)
        wait_for(lambda: not open_.exists(), what="all answers to be stored", within=60)
        taken = json.loads(_ask(port, "GET", "/taken"))
        limit = _send_bare(port, profiles)
    report = Report("outbound", profiles, seconds, limit, largest_worker_mb())
    report.detail = {"connections": CONNECTIONS, "bare_per_second": round(profiles / limit)}
    _verify(report, taken)
    return report


def _make_people(count: int) -> None:
    for key, type_name in (("user_id", "integer"), ("email", "email"), ("first_name", "string")):
        create_rule(NewRule(key, type_name, is_unique=key != "first_name"), actor=SYSTEM)
    people = [
        {"payload": {"user_id": n, "email": f"customer{n}@example.com", "first_name": f"Name {n}"}}
        for n in range(count)
    ]
    accept([{"type": "signed_up", **each} for each in people], source_kind=SourceKind.API_KEY, source_id=1)
    wait_for(lambda: Profile.objects.count() == count, what="the people", within=60)


def _subscribe(port: int) -> Subscription:
    options = {"url": f"http://127.0.0.1:{port}/hook", "secret": _SECRET}
    app = apps_store.create_app("webhook", "Receiver", options, parallel_calls=CONNECTIONS + 1, actor=SYSTEM)
    data = SubscriptionData(
        name="Carts",
        app_id=app.pk,
        match="type",
        value="cart_abandoned",
        properties=("first_name", "email"),
        where=({"key": "total", "type": "number", "operator": "greater_than", "value": 0},),
        people={"match": "all", "rules": [{"property": "email", "operator": "contains", "value": "@example.com"}]},
    )
    return create_subscription(data, actor=SYSTEM)


def _cart(number: int) -> dict[str, Any]:
    payload = {"user_id": number % _PEOPLE, "number": number, "total": 10.5 + number % 90, "cart_items": ["red shirt"]}
    return {"type": "cart_abandoned", "payload": payload}


# ---------------------------------------------------------------- the receiver


@contextmanager
def _receiver() -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with ProcessGroup() as group:
        group.start([sys.executable, "-m", "benchmarks.receiver", str(port), _SECRET])
        wait_for(lambda: _answers(port), what="the receiver", within=30)
        yield port


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _count(port: int) -> int:
    return int(_ask(port, "GET", "/count"))


def _ask(port: int, method: str, path: str) -> bytes:
    request = Request(f"http://127.0.0.1:{port}{path}", method=method)
    with urlopen(request, timeout=60) as answer:
        return bytes(answer.read())


# ---------------------------------------------------------------- the limit


def _send_bare(port: int, count: int) -> float:
    """The raw limit: the same bodies, signed before, over as many kept connections; the seconds."""
    _ask(port, "DELETE", "/taken")
    signer, now = Webhook(_SECRET), datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute("select event_id || '-' || subscription_id, body::text from outbound_delivery order by event_id")
        requests = [_write(signer, now, id_, json.dumps(json.loads(body))) for id_, body in cursor.fetchall()]
    started = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(lambda part: _send_part(port, part), [requests[at::CONNECTIONS] for at in range(CONNECTIONS)]))
    seconds = time.perf_counter() - started
    if _count(port) != count:
        raise RuntimeError("the bare client did not bring everything")
    return seconds


def _write(signer: Webhook, now: datetime, id_: str, body: str) -> bytes:
    head = (
        "POST /hook HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"webhook-id: {id_}\r\nwebhook-timestamp: {int(now.timestamp())}\r\n"
        f"webhook-signature: {signer.sign(id_, now, body)}\r\nContent-Length: {len(body.encode())}\r\n\r\n"
    )
    return head.encode() + body.encode()


def _send_part(port: int, requests: Sequence[bytes]) -> None:
    with socket.create_connection(("127.0.0.1", port)) as line, line.makefile("rb") as answers:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in requests:
            line.sendall(request)
            _read_answer(answers)


def _read_answer(answers: io.BufferedReader) -> None:
    status = answers.readline()
    if b" 200 " not in status:
        raise RuntimeError(f"the receiver answered {status!r}")
    length = 0
    while (line := answers.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    answers.read(length)


# ---------------------------------------------------------------- whether it is right


def _verify(report: Report, taken: Sequence[tuple[str, str, int]]) -> None:
    """Each event once, under an id of its own, and those of one person in their order; the ledger says the same."""
    count, numbers = report.profiles, [number for _, _, number in taken]
    report.check(
        sorted(numbers) == list(range(count)), f"{len(numbers)} events arrived, {len(set(numbers))} of {count}"
    )
    report.check(len({id_ for id_, _, _ in taken}) == count, "ids came twice")
    by_person: dict[str, list[int]] = defaultdict(list)
    for _, person, number in taken:
        by_person[person].append(number)
    late = sum(each != sorted(each) for each in by_person.values())
    report.check(not late, f"{late} people got their events out of order")
    accepted = OutboundDelivery.objects.filter(state="accepted", attempts=1).count()
    report.check(accepted == count, f"{accepted} of {count} deliveries are accepted at the first attempt")
    rate = report.profiles / report.seconds
    report.check(rate >= _LEAST, f"{rate:.0f} events/s, wanted at least {_LEAST}")
