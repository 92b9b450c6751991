"""A stand-in for HubSpot: an `Account` behind HTTP, which misbehaves on demand.

with run_standin() as standin:
    standin.expect(Misbehaviour("throttle", after=7))  # the next call; the ones after it are answered again
    ...  # let the plugin call standin.url with standin.account.token
"""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.plugins.hubspot.account import Account, Refusal, define

_THROTTLE = {
    "status": "error",
    "message": "You have reached your ten_secondly_rolling limit.",
    "errorType": "RATE_LIMIT",
    "correlationId": "c033cdaa-2c40-4a64-ae48-b4cec88dad24",
    "policyName": "TEN_SECONDLY_ROLLING",
}
_DAILY = {**_THROTTLE, "message": "You have reached your daily limit.", "policyName": "DAILY"}
_ERROR = {"status": "error", "message": "internal error", "correlationId": "1"}
_FORBIDDEN = {"status": "error", "message": "This hub does not have the feature.", "category": "FORBIDDEN"}
_ANSWERS: Mapping[str, tuple[int, bytes]] = {
    "throttle": (429, json.dumps(_THROTTLE).encode()),
    "daily": (429, json.dumps(_DAILY).encode()),
    "bare429": (429, b"<h1>Too Many Requests</h1>"),
    "locked": (423, json.dumps({**_ERROR, "message": "locked"}).encode()),
    "migrating": (477, b""),
    "error": (500, json.dumps(_ERROR).encode()),
    "gateway": (502, b"<html>Bad gateway</html>"),
    "blocked": (403, b"<html>Sorry, you have been blocked</html>"),
    "forbidden": (403, json.dumps(_FORBIDDEN).encode()),
    "unknown": (418, json.dumps(_ERROR).encode()),
    "garbage": (200, b'\x00\xff{"id": '),
    "redirect": (302, b""),
}


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """What to do with one call instead of answering it: one of `_ANSWERS`, `cut`, `cut_after` or `slow`.

    The last two do what was asked. `after` is the Retry-After, `interval` the milliseconds of HubSpot's own header,
    `only` a regular expression that the call has to match; others are answered meanwhile.
    """

    kind: str
    after: float | None = None
    interval: int | None = None
    seconds: float = 0.0
    only: str = ""


@dataclass(slots=True)
class Standin:
    """A running stand-in. `calls` are "METHOD /path" in order of arrival, `bodies` what came with them."""

    account: Account
    url: str = ""
    calls: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    expected: deque[Misbehaviour] = field(default_factory=deque)
    most_at_once: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)
    _now: int = 0

    def expect(self, *misbehaviours: Misbehaviour) -> None:
        """Misbehave once for each, in order."""
        with self.lock:
            self.expected.extend(misbehaviours)

    @contextmanager
    def noting(self, call: str, body: Any) -> Iterator[Misbehaviour | None]:
        """Count a call while it runs; what it is to be answered with instead, if anything."""
        with self.lock:
            self.calls.append(call)
            self.bodies.append(body)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            is_meant = bool(self.expected) and re.search(self.expected[0].only, call)
            misbehaviour = self.expected.popleft() if is_meant else None
        try:
            yield misbehaviour
        finally:
            with self.lock:
                self._now -= 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True
    standin: Standin

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        path, query = unquote(address.path), dict(parse_qsl(address.query))
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(text) if text else None
        with self.standin.noting(f"{self.command} {path}", body) as misbehaviour, suppress(ConnectionError):
            if misbehaviour is not None and misbehaviour.kind not in ("slow", "cut_after"):
                self._misbehave(misbehaviour)
                return
            status, document = self._answer(path, query, body)
            if misbehaviour is not None:
                time.sleep(misbehaviour.seconds)
                if misbehaviour.kind == "cut_after":
                    self._cut()
                    return
            self._send(status, b"" if document is None else json.dumps(document).encode())

    do_POST = do_PUT = do_GET  # noqa: N815  their names in the base class

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its name in the base class
        """Nothing."""

    def _answer(self, path: str, query: Mapping[str, str], body: Any) -> tuple[int, Any]:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            with self.standin.lock:
                return self.standin.account.answer(self.command, path, query, body, token)
        except Refusal as refusal:
            return refusal.status, refusal.document

    def _misbehave(self, misbehaviour: Misbehaviour) -> None:
        if misbehaviour.kind == "cut":
            self._cut()
            return
        status, body = _ANSWERS[misbehaviour.kind]
        more = {} if misbehaviour.after is None else {"Retry-After": f"{misbehaviour.after:g}"}
        if misbehaviour.interval is not None:
            more["X-HubSpot-RateLimit-Interval-Milliseconds"] = str(misbehaviour.interval)
        if status == 302:
            more["Location"] = "/elsewhere"
        self._send(status, body, more)

    def _cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, status: int, body: bytes, more: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        headers = {"Content-Type": "application/json;charset=utf-8", "Content-Length": str(len(body)), **(more or {})}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that ended in mid-call is nothing to report."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def run_standin() -> Iterator[Standin]:
    """A stand-in in a thread of this process, with an empty account, until the end of the block."""
    standin = Standin(Account(properties={each["name"]: each for each in _PROPERTIES}))
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"standin": standin}))
    standin.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield standin
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


_PROPERTIES = (
    define("email"),
    define("firstname"),
    define("name"),
    define("spent", "number", "number"),
    define("visits", "number", "number"),
    define("ltv", "number", "number"),
    define("since", "datetime", "date"),
    define("birthday", "date", "date"),
    define("vip", "bool", "booleancheckbox", true="Yes", false="No"),
    define("phone", "string", "phonenumber"),
    define("plan", "enumeration", "select", free="Free", pro_2024="Professional"),
    define("colours", "enumeration", "checkbox", red="Red", blue="Blue"),
    define("hubspot_owner_id", "enumeration", "select"),
    define("createdate", "datetime", "date"),
    define("lastmodifieddate", "datetime", "date"),
    define("hs_object_id", "number", "number"),
    define("hs_additional_emails", "enumeration", "checkbox"),
    {**define("score", "number", "calculation_equation"), "calculated": True},
    {**define("old"), "archived": True},
)
