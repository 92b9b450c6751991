"""The stand-in's HTTP side: keys, connections, misbehaviour on demand, and who called for whom.

    with run_standin(tmp_path / "mailchimp.sqlite") as standin:
        standin.store.add_list("a1", "Newsletter", merge_fields(FNAME="text"))
        standin.expect(Misbehaviour("throttle", after=7))  # the next call; the ones after it are answered again
        ...  # let the plugin call standin.url with standin.key

Another process tells a running one the same by `POST /standin/misbehave`, and reads `GET /standin/state`.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from plugins.mailchimp.changes import hash_email
from plugins.mailchimp.standin.answering import answer
from plugins.mailchimp.standin.page import STYLE, show
from plugins.mailchimp.standin.rules import Refusal
from plugins.mailchimp.standin.store import Store

KEY = "grouparoo-standin-us0"
MOST_CONNECTIONS = 10
_PREFIX = "/3.0"
_MEMBER = re.compile(r"/lists/([^/]+)/members/([^/]+)").match
_PAGE = b"<html><head><title>Request Blocked</title></head><body><h1>Request Blocked</h1></body></html>"
_ANSWERS: Mapping[str, tuple[int, str, bytes]] = {
    "throttle": (429, "application/problem+json", b""),  # Mailchimp's own words, as JSON
    "bare429": (429, "text/html", b"<h1>Too Many Requests</h1>"),
    "bare403": (403, "text/html", b""),
    "forbidden": (403, "application/problem+json", b""),
    "error": (500, "application/problem+json", b""),
    "blocked": (503, "text/html", _PAGE),
    "garbage": (200, "application/json", b'\x00\xff{"id": '),
    "redirect": (302, "text/html", b""),
}
KINDS = (*_ANSWERS, "slow", "cut", "cut_after")


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """What to do with one call instead of answering it. `cut_after` and `slow` do what was asked, all others do not.

    `after` is the Retry-After of an answer, `seconds` how long `slow` takes; `only` a regular expression that the
    call ("PUT /lists/...") has to match, others are answered meanwhile.
    """

    kind: str
    after: float | None = None
    seconds: float = 0.0
    only: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"The stand-in cannot {self.kind}; it knows {', '.join(KINDS)}.")


@dataclass(slots=True)
class Standin:
    """A running stand-in. `calls` are "METHOD /path" without the version, in order of arrival."""

    store: Store
    key: str
    url: str = ""
    calls: list[str] = field(default_factory=list)
    expected: deque[Misbehaviour] = field(default_factory=deque)
    per_member: Counter[str] = field(default_factory=Counter)
    parallel: Counter[str] = field(default_factory=Counter)  # calls that met another one for the same member
    most_at_once: int = 0
    _now: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def expect(self, *misbehaviours: Misbehaviour) -> None:
        """Misbehave once for each, in order."""
        with self._lock:
            self.expected.extend(misbehaviours)

    def state(self) -> dict[str, Any]:
        """What was noticed, for tests in other processes."""
        with self._lock:
            return {
                "calls": list(self.calls),
                "per_member": dict(self.per_member),
                "parallel": dict(self.parallel),
                "most_at_once": self.most_at_once,
                "expected": [asdict(each) for each in self.expected],
            }

    @contextmanager
    def noting(self, method: str, path: str) -> Iterator[Misbehaviour | None]:
        """Count a call while it runs; what it is to be answered with instead, if anything. Raises `Refusal`."""
        found = _MEMBER(path)
        member = f"{found[1]}/{_as_hash(found[2])}" if found else ""
        with self._lock:
            self.calls.append(f"{method} {path}")
            self._now["all"] += 1
            self.most_at_once = max(self.most_at_once, self._now["all"])
            if member:
                self.per_member[member] += 1
                self._now[member] += 1
                if self._now[member] > 1:
                    self.parallel[member] += 1
            too_many = self._now["all"] > MOST_CONNECTIONS
            first = self.expected[0] if self.expected else None
            misbehaviour = None
            if first is not None and not too_many and re.search(first.only, f"{method} {path}"):
                misbehaviour = self.expected.popleft()
        try:
            if too_many:
                text = f"You have exceeded the limit of {MOST_CONNECTIONS} simultaneous connections."
                raise Refusal(429, "Too Many Requests", text)
            yield misbehaviour
        finally:
            with self._lock:
                self._now["all"] -= 1
                if member:
                    self._now[member] -= 1


def _as_hash(text: str) -> str:
    return hash_email(text) if "@" in text else text.lower()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True
    standin: Standin

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815  their names in the base class

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its name in the base class
        """Nothing: the page shows what came."""

    def _serve(self) -> None:
        address = urlsplit(self.path)
        path, query = unquote(address.path), dict(parse_qsl(address.query))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if path == _PREFIX or path.startswith(f"{_PREFIX}/"):
                self._serve_api(path.removeprefix(_PREFIX) or "/", query, body)
            else:
                self._serve_own(path, query, body)
        except Refusal as refusal:
            self._send(refusal.status, json.dumps(refusal.document()).encode(), "application/problem+json")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    # ------------------------------------------------------------ the API

    def _serve_api(self, path: str, query: Mapping[str, str], body: bytes) -> None:
        with self.standin.noting(self.command, path) as misbehaviour:
            if misbehaviour is not None and misbehaviour.kind not in ("slow", "cut_after"):
                self._misbehave(misbehaviour)
                return
            self._check_key()
            status, document = answer(self.standin.store, self.command, path, query, _read_json(body))
            if misbehaviour is not None:
                time.sleep(misbehaviour.seconds)
            if misbehaviour is not None and misbehaviour.kind == "cut_after":
                self._cut()
                return
        self._send(
            status, b"" if document is None else json.dumps(document).encode(), "application/json; charset=utf-8"
        )

    def _check_key(self) -> None:
        """Basic with any user and the key as password, or the key as bearer."""
        kind, _, given = self.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            with suppress(ValueError):
                given = base64.b64decode(given).decode().partition(":")[2]
        if given != self.standin.key:
            text = "Your API key may be invalid, or you've attempted to access the wrong datacenter."
            raise Refusal(401, "API Key Invalid", text)

    def _misbehave(self, misbehaviour: Misbehaviour) -> None:
        if misbehaviour.kind == "cut":
            self._cut()
            return
        status, kind, body = _ANSWERS[misbehaviour.kind]
        if "json" in kind and not body:
            body = json.dumps(
                Refusal(status, "As asked", f"The stand-in was asked to {misbehaviour.kind}.").document()
            ).encode()
        more = {} if misbehaviour.after is None else {"Retry-After": f"{misbehaviour.after:g}"}
        if status == 302:
            more["Location"] = "/elsewhere"
        self._send(status, body, kind, more)

    def _cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    # ------------------------------------------------------------ the page, and what tests ask

    def _serve_own(self, path: str, query: Mapping[str, str], body: bytes) -> None:
        call = f"{self.command} {path}"
        if call == "GET /":
            self._send(200, show(self.standin.store, query).encode(), "text/html; charset=utf-8")
        elif call == "GET /standin/style.css":
            self._send(200, STYLE.encode(), "text/css; charset=utf-8")
        elif call == "GET /standin/state":
            self._send(200, json.dumps(self.standin.state()).encode(), "application/json")
        elif call == "POST /standin/misbehave":
            self._expect(_read_json(body))
        else:
            self._send(404, b"There is nothing here.", "text/plain; charset=utf-8")

    def _expect(self, given: Any) -> None:
        try:
            times = int(given.pop("times", 1))
            self.standin.expect(*[Misbehaviour(**given)] * times)
        except (AttributeError, TypeError, ValueError) as error:
            self._send(400, str(error).encode(), "text/plain; charset=utf-8")
        else:
            self._send(204, b"", "text/plain")

    def _send(self, status: int, body: bytes, kind: str, more: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": "default-src 'none'; style-src 'self'",
            "X-Content-Type-Options": "nosniff",
            **(more or {}),
        }
        for name, value in headers.items():
            if status != 204 or not name.startswith("Content-"):
                self.send_header(name, value)
        self.end_headers()
        if status != 204:
            self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """One thread per connection; ends without waiting for them."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, standin: Standin, *, host: str, port: int) -> None:
        super().__init__((host, port), type("Handler", (_Handler,), {"standin": standin}))
        standin.url = f"http://{host}:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that ended in mid-call is nothing to report."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def run_standin(path: Path, *, key: str = KEY, port: int = 0) -> Iterator[Standin]:
    """A stand-in in a thread of this process, until the end of the block. What it remembers stays in `path`."""
    store = Store(path)
    standin = Standin(store, key)
    server = Server(standin, host="127.0.0.1", port=port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield standin
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        store.close()


def merge_fields(**types: str) -> list[dict[str, Any]]:
    """Merge fields for `Store.add_list`, from tag and type; `phone:US` is a phone field of that format."""
    return [
        {
            "merge_id": number,
            "tag": tag.upper(),
            "name": tag.title(),
            "type": kind.partition(":")[0],
            "required": False,
            "display_order": number + 1,
            "options": {"phone_format": kind.partition(":")[2]} if ":" in kind else {},
        }
        for number, (tag, kind) in enumerate(types.items(), start=1)
    ]


def _read_json(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        raise Refusal(400, "JSON Parse Error", "We encountered an unspecified JSON parsing error.") from None
