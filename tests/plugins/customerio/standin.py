"""A stand-in for Customer.io's Track API, of which it knows what the plugin calls.

with run_standin() as standin:
    standin.expect(Misbehaviour("throttle", after=7))  # the next call; the ones after it are answered again
    ...  # let the plugin call standin.url with standin.site_id and standin.key
    assert standin.workspace.people == [...]
"""

from __future__ import annotations

import base64
import json
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
from urllib.parse import unquote

from tests.plugins.customerio.workspace import Event, Invalid, Workspace, check_event

SITE_ID = "0123456789abcdef0123"
KEY = "fedcba9876543210feed"
_JSON = "application/json"
_ANSWERS: Mapping[str, tuple[int, str, bytes]] = {
    "throttle": (429, _JSON, b'{"meta": {"error": "too many requests"}}'),
    "error": (500, _JSON, b""),
    "unavailable": (503, "text/html", b"<h1>Service Unavailable</h1>"),
    "garbage": (200, "text/html", b'\x00\xff{"id": '),
    "list": (200, _JSON, b"[]"),
    "vague": (207, _JSON, b'{"errors": [{"reason": "invalid"}]}'),
    "refuse": (400, _JSON, b'{"errors": [{"reason": "invalid", "field": "batch", "message": "is malformed"}]}'),
    "forbid": (403, _JSON, b"{}"),
    "missing": (404, "text/html", b"not found"),
    "redirect": (301, "text/html", b""),
}


@dataclass(frozen=True)
class Misbehaviour:
    """What to do with one call instead of answering it. `cut_after` and `slow` do what was asked, others do not.

    `after` is the Retry-After of an answer, `seconds` how long `slow` takes.
    """

    kind: str
    after: str = ""
    seconds: float = 0.0


@dataclass
class Standin:
    """A running stand-in. `calls` are "METHOD /path" in order of arrival; `sizes` the bytes of their bodies."""

    workspace: Workspace = field(default_factory=Workspace)
    region: str = "us"
    site_id: str = SITE_ID
    key: str = KEY
    url: str = ""
    calls: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    batches: list[list[Any]] = field(default_factory=list)
    expected: deque[Misbehaviour] = field(default_factory=deque)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def expect(self, *misbehaviours: Misbehaviour) -> None:
        """Misbehave once for each, in order."""
        self.expected.extend(misbehaviours)

    def answer(self, call: str, body: bytes) -> tuple[int, Any]:
        """Do what a call asks for: the status and the document of its answer."""
        method, _, path = call.partition(" ")
        if call == "GET /api/v1/accounts/region":
            return 200, {"url": "https://track.customer.io", "region": self.region, "environment_id": 3}
        if call == "POST /api/v2/batch":
            return self._answer_batch(body)
        before, _, after = path.removeprefix("/api/v1/customers/").partition("/")
        if method == "POST" and path.startswith("/api/v1/customers/") and after == "events":
            return self._answer_event(unquote(before), body)
        return 404, {"meta": {"error": "not found"}}

    def _answer_batch(self, body: bytes) -> tuple[int, Any]:
        document = _read(body)
        operations = document.get("batch") if isinstance(document, dict) else None
        if len(body) > 500 * 1024 or not isinstance(operations, list) or not operations:
            message = "must be an array, and the request smaller than 500kb"
            return 400, {"errors": [Invalid("batch", message).document]}
        self.batches.append(operations)
        errors = []
        for place, operation in enumerate(operations):
            try:
                self.workspace.apply(operation)
            except Invalid as error:
                errors.append({"batch_index": place, **error.document})
        return (207, {"errors": errors}) if errors else (200, {})

    def _answer_event(self, identifier: str, body: bytes) -> tuple[int, Any]:
        event = _read(body)
        try:
            check_event(event, data=event.get("data", {}))
        except Invalid as error:
            return 400, {"meta": {"error": str(error)}}
        kind = "email" if "@" in identifier else "id"
        self.workspace.take_event(
            Event({kind: identifier}, event["name"], event["data"], event.get("id"), event.get("timestamp"), version=1)
        )
        return 200, {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True
    standin: Standin

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        call = f"{self.command} {self.path}"
        with self.standin.lock:
            self.standin.calls.append(call)
            self.standin.sizes.append(len(body))
            misbehaviour = self.standin.expected.popleft() if self.standin.expected else None
            if misbehaviour is not None and misbehaviour.kind in _ANSWERS:
                self._misbehave(misbehaviour)
                return
            if misbehaviour is not None and misbehaviour.kind == "cut":
                self._cut()
                return
            status, document = self.standin.answer(call, body) if self._is_known() else (401, {})
        if misbehaviour is not None:
            time.sleep(misbehaviour.seconds)
            if misbehaviour.kind == "cut_after":
                self._cut()
                return
        with suppress(ConnectionError):
            self._send(status, json.dumps(document).encode(), _JSON)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815  their names in the base class

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its name in the base class
        """Nothing."""

    def _is_known(self) -> bool:
        expected = base64.b64encode(f"{self.standin.site_id}:{self.standin.key}".encode()).decode()
        return self.headers.get("Authorization") == f"Basic {expected}"

    def _misbehave(self, misbehaviour: Misbehaviour) -> None:
        status, kind, body = _ANSWERS[misbehaviour.kind]
        more = {"Retry-After": misbehaviour.after} if misbehaviour.after else {}
        if status == 301:
            more["Location"] = "https://track-eu.customer.io/"
        self._send(status, body, kind, more)

    def _cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, status: int, body: bytes, kind: str, more: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(more or {})}.items():
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
    """A stand-in in a thread of this process, until the end of the block."""
    standin = Standin()
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


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return {}
