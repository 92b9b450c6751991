"""A receiver of webhooks, as a customer would run one: it checks the signature, writes down, and misbehaves on demand.

    with run_receiver() as receiver:
        receiver.expect(answer(429, headers={"Retry-After": "7"}), cut())  # the next two; 200 from then on
        ...  # let the product send to receiver.url, signed with receiver.secret
        assert receiver.accepted == {"event-1": {"cart_items": ["red shirt"]}}

It runs in a thread of the test's process and listens on a port of its own, so what it holds survives the death of the
product's processes.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

SECRET = "whsec_Z3JvdXBhcm9vLXRlc3RzLXNpZ24td2l0aC10aGlz"
CLOSED = 30.0  # seconds after which even a receiver that never answers gives up, should a test forget it


@dataclass(frozen=True)
class Delivery:
    """One request as it arrived. `body` is the bytes; `answer` the status it got, 0 where there was none."""

    method: str
    path: str
    id: str
    body: bytes
    headers: Mapping[str, str]  # names in small letters
    signed: bool
    answer: int
    connection: int  # the port at the sender's end, the same for what came over one connection

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Behaviour:
    """What to do with one request: wait, then answer, or cut the connection without one."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b'{"ok": true}'
    wait: float = 0.0
    cuts: bool = False
    raw: bytes = b""  # sent instead of an answer
    every_byte: bool = False  # wait before each byte of the answer


def answer(status: int = 200, *, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Behaviour:
    """An answer of this status."""
    return Behaviour(status=status, headers=headers or {}, body=body)


def be_slow(seconds: float, *, status: int = 200, every_byte: bool = False) -> Behaviour:
    """The answer comes after `seconds`, or a byte of it after each `seconds`."""
    return Behaviour(status=status, wait=seconds, every_byte=every_byte)


def cut() -> Behaviour:
    """The connection ends after the request was read, without an answer."""
    return Behaviour(cuts=True)


def garbage() -> Behaviour:
    """Something that is not HTTP."""
    return Behaviour(raw=b"\x00\xff\xfe this is no answer \x80\r\n\r\n", cuts=True)


class Receiver:
    """Where webhooks arrive. Safe to ask from the test while requests come in."""

    def __init__(self, *, secret: str, tls: ssl.SSLContext | None = None) -> None:
        self.secret = secret
        self.expecting = {"POST", "PUT", "PATCH", "DELETE"}  # the methods whose requests `expect` is about
        self.always = Behaviour()  # what is done when nothing else is expected
        self.judge: Callable[[Any], Behaviour | None] = lambda body: None  # before that, by what the body says
        self._next: deque[Behaviour] = deque()
        self._deliveries: list[Delivery] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._at_once = 0
        self.most_at_once = 0
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"receiver": self}))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    # ------------------------------------------------------------ for the test

    def expect(self, *behaviours: Behaviour) -> None:
        """Treat the next requests like this, one after the other."""
        with self._lock:
            self._next.extend(behaviours)

    @property
    def deliveries(self) -> list[Delivery]:
        """Every request, in the order of its arrival."""
        with self._lock:
            return list(self._deliveries)

    @property
    def accepted(self) -> dict[str, Any]:
        """What a careful receiver holds: the body of each message that was signed well and answered with 2xx, once."""
        return {each.id: each.json for each in self.deliveries if each.signed and 200 <= each.answer < 300}

    @property
    def times_accepted(self) -> dict[str, int]:
        """How often each message was answered with 2xx; 1 for all of them is "exactly once"."""
        taken = [each.id for each in self.deliveries if 200 <= each.answer < 300]
        return {each: taken.count(each) for each in dict.fromkeys(taken)}

    def hang_up(self) -> None:
        """End the connections that are kept open, and return when they have ended."""
        with self._lock:
            kept = list(self._open)
        for connection in kept:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it; whoever still waits for an answer loses the connection."""
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    # ------------------------------------------------------------ for the handler

    def take(self, handler: BaseHTTPRequestHandler) -> Behaviour:
        """Read one request, write it down, and say what to do with it."""
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        usual = (self.judge(json.loads(body)) if body else None) or self.always
        with self._lock:
            behaviour = self._next.popleft() if self._next and handler.command in self.expecting else usual
            delivery = Delivery(
                method=handler.command,
                path=handler.path,
                id=headers.get("webhook-id", ""),
                body=body,
                headers=headers,
                signed=self._is_signed(body, headers),
                answer=0 if behaviour.cuts else behaviour.status,
                connection=handler.client_address[1],
            )
            self._deliveries.append(delivery)
        return behaviour

    def _is_signed(self, body: bytes, headers: dict[str, str]) -> bool:
        try:
            Webhook(self.secret).verify(body, headers, json_parse=False)
        except (WebhookVerificationError, ValueError):
            return False
        return True

    def wait(self, seconds: float) -> bool:
        """Wait as a slow receiver does; gives False when it was closed meanwhile."""
        return not self._closing.wait(min(seconds, CLOSED))

    @contextmanager
    def keeping(self, connection: socket.socket) -> Iterator[None]:
        """Know an open connection for as long as it lasts."""
        with self._lock:
            self._open.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count how many requests are answered at the same time."""
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            with self._lock:
                self._at_once -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that break are part of the tests, and no news."""


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle(self) -> None:
        with self.receiver.keeping(self.connection):
            super().handle()

    def do_POST(self) -> None:
        with self.receiver.counting():
            behaviour = self.receiver.take(self)
            if behaviour.every_byte:
                self.drip(behaviour)
            elif behaviour.wait and not self.receiver.wait(behaviour.wait):
                self.close_connection = True
            else:
                self.reply(behaviour)

    def do_HEAD(self) -> None:
        self.do_POST()

    def do_GET(self) -> None:
        self.do_POST()

    def do_PUT(self) -> None:
        self.do_POST()

    def do_PATCH(self) -> None:
        self.do_POST()

    def do_DELETE(self) -> None:
        self.do_POST()

    def reply(self, behaviour: Behaviour) -> None:
        if behaviour.cuts:
            with suppress(OSError):
                self.wfile.write(behaviour.raw)
            self.close_connection = True
            return
        self.send_response(behaviour.status)
        for name, value in behaviour.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(behaviour.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(behaviour.body)

    def drip(self, behaviour: Behaviour) -> None:
        self.close_connection = True
        with suppress(OSError):
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok":
                if not self.receiver.wait(behaviour.wait):
                    return
                self.wfile.write(bytes([byte]))

    def log_message(self, *args: Any) -> None:
        """The test says what happened."""


@contextmanager
def run_file_host() -> Iterator[Receiver]:
    """The same, for files that are asked for."""
    with run_receiver() as receiver:
        receiver.expecting = {"GET"}
        yield receiver


@contextmanager
def run_receiver(*, secret: str = SECRET, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver on a free port, for the length of the block."""
    receiver = Receiver(secret=secret, tls=tls)
    try:
        yield receiver
    finally:
        receiver.close()
