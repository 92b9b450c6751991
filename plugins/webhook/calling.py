"""One line to a receiver: connects to an address that was checked, sends a request, reads the beginning of the answer.

Redirects are not followed and proxies of the environment not used: either would lead away from that address. A call
ends when its time is over, also when the receiver answers a byte at a time.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from types import TracebackType
from typing import TYPE_CHECKING, Self

from core.lib.hosts import find_addresses, is_public
from plugins.contracts import Halt, Retry
from plugins.webhook.receiver import Receiver

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

MOST_REPLY = 4096  # bytes of an answer that are read and kept
_MOST_ADDRESSES = 3
_TICK_SECONDS = 0.05
_IDLE_SECONDS = 2.0
_PART = 64 * 1024  # bytes of a download that are taken at a time


@dataclass(frozen=True, slots=True)
class Reply:
    """What a receiver answered; `headers` by name in small letters, `text` the beginning of its body or all of it."""

    status: int
    words: str
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    is_whole: bool = True


class Line:
    """A connection that is kept between calls, of one caller at a time."""

    def __init__(self, receiver: Receiver, *, private_hosts_allowed: bool) -> None:
        self.receiver = receiver
        self.private_hosts_allowed = private_hosts_allowed
        self._connection: HTTPConnection | None = None

    def call(
        self, method: str, body: bytes | None, headers: Mapping[str, str], *, path: str = "", most: int = MOST_REPLY
    ) -> Reply:
        """Send one request, to another path of the host where one is given, and read `most` bytes of the answer.

        Raises `Retry` when there is no answer, `Halt` for an address that may not be called.
        """
        try:
            with _TimeLimit(self.receiver.seconds) as limit:
                connection = self._connected(limit)
                connection.request(method, path or self.receiver.path, body=body, headers=dict(headers))
                response = connection.getresponse()
                text = _read_beginning(response, most)
                is_whole = response.isclosed()
                if not is_whole:
                    self.close()  # the rest of a long answer would stand before the next one
                return Reply(
                    status=response.status,
                    words=response.reason,
                    headers={name.lower(): value for name, value in response.getheaders()},
                    text=text,
                    is_whole=is_whole,
                )
        except (OSError, HTTPException) as error:
            self.close()
            problem = _describe(error, self.receiver, timed_out=limit.is_over)
        except BaseException:
            self.close()
            raise
        raise Retry(problem)

    def download(self, headers: Mapping[str, str], into: SupportsWrite[bytes], *, seconds: float, most: int) -> Reply:
        """GET, and write the body of a 200 to `into`: at most `most` bytes within `seconds`; others are not read.

        Raises `Retry` when there is no whole answer, `Halt` for an address that may not be called or a longer body.
        """
        try:
            with _TimeLimit(seconds) as limit:
                connection = self._connected(limit)
                connection.request("GET", self.receiver.path, headers=dict(headers))
                response = connection.getresponse()
                if response.status == HTTPStatus.OK:
                    _copy_body(response, into, most=most, host=self.receiver.host)
                    if limit.is_over:
                        raise TimeoutError
                found = {name.lower(): value for name, value in response.getheaders()}
                return Reply(response.status, response.reason, found)
        except (OSError, HTTPException) as error:
            problem = _describe(error, self.receiver, timed_out=False)
            if limit.is_over:
                problem = f"{self.receiver.host} did not send everything within {seconds:g} seconds."
        finally:
            self.close()
        raise Retry(problem)

    def close(self) -> None:
        """Give the connection back; safe to call twice."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self, limit: _TimeLimit) -> HTTPConnection:
        kept = self._connection
        if kept is not None and kept.sock is not None and not _has_ended(kept.sock):
            limit.watch(kept.sock)
            return kept
        self.close()
        sock = self._open(limit)
        connection = _Opened(self.receiver.host, self.receiver.port)
        connection.default_port = 443 if self.receiver.tls else 80
        connection.sock = sock
        self._connection = connection
        return connection

    def _open(self, limit: _TimeLimit) -> socket.socket:
        sock = self._reach()
        limit.watch(sock)
        if not self.receiver.tls:
            return sock
        try:
            secure = _tls().wrap_socket(sock, server_hostname=self.receiver.host)
        except BaseException:
            sock.close()
            raise
        limit.watch(secure)
        return secure

    def _reach(self) -> socket.socket:
        """A connection to one of the host's addresses, none of which may be private. Raises OSError and `Halt`."""
        host = self.receiver.host
        addresses = find_addresses(host.strip("[]"))
        if not self.private_hosts_allowed and not all(map(is_public, addresses)):
            raise Halt(
                f"{host} is inside a private network. Whoever runs this installation can allow that by setting"
                " GROUPAROO_ALLOW_PRIVATE_HOSTS."
            )
        failures: list[OSError] = []
        for address in addresses[:_MOST_ADDRESSES]:
            try:
                sock = socket.create_connection((address, self.receiver.port), self.receiver.seconds / _MOST_ADDRESSES)
            except OSError as error:
                failures.append(error)
                continue
            sock.settimeout(self.receiver.seconds)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        raise failures[-1]


class _Opened(HTTPConnection):
    """A connection whose socket is given to it; it never opens one by a name."""

    def connect(self) -> None:
        raise ConnectionResetError("the connection has ended")


class _TimeLimit:
    """Ends a socket from a second thread when the time of a call is over."""

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self.until = time.monotonic() + seconds
        self._sock: socket.socket | None = None

    def __enter__(self) -> Self:
        _clock.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _clock.remove(self)

    def watch(self, sock: socket.socket) -> None:
        """This is the socket to end."""
        self._sock = sock
        if self.is_over:
            self.end()

    def end(self) -> None:
        """The time is over."""
        self.is_over = True
        if self._sock is not None:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)


class _Clock:
    """Looks after the calls under way in this process: a thread for each call would cost more than the call.

    Its thread ends after a while without calls. After a fork there is none, and what it looked after is the parent's.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[_TimeLimit] = set()
        self._thread: threading.Thread | None = None

    def add(self, limit: _TimeLimit) -> None:
        """Look after one more call."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                self._running.add(limit)
                return
            self._running = {limit}
            self._thread = threading.Thread(target=self._tick, name="webhook-clock", daemon=True)
            self._thread.start()

    def remove(self, limit: _TimeLimit) -> None:
        """That call has ended."""
        with self._lock:
            self._running.discard(limit)

    def _tick(self) -> None:
        looked_in_vain = 0
        while True:
            time.sleep(_TICK_SECONDS)
            with self._lock:
                looked_in_vain = 0 if self._running else looked_in_vain + 1
                if looked_in_vain * _TICK_SECONDS > _IDLE_SECONDS:
                    self._thread = None
                    return
                over = [limit for limit in self._running if limit.until <= time.monotonic()]
            for limit in over:
                limit.end()


_clock = _Clock()


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Trusts whom this machine trusts; made once, since reading the certificates takes a while."""
    return ssl.create_default_context()


def _has_ended(sock: socket.socket) -> bool:
    """Whether the other side closed a connection on which nothing is expected."""
    usual = sock.gettimeout()
    sock.settimeout(0)
    try:
        return sock.recv(1) is not None  # an end, or bytes that nobody asked for
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    finally:
        with suppress(OSError):
            sock.settimeout(usual)


def _copy_body(response: HTTPResponse, into: SupportsWrite[bytes], *, most: int, host: str) -> None:
    size = 0
    while part := response.read(_PART):
        size += len(part)
        if size > most:
            raise Halt(f"{host} sent more than {most // 1024**2:,} MB, which is the most that is fetched.")
        into.write(part)
    if response.length:  # what was announced and never came is no error to the library
        raise ConnectionResetError


def _read_beginning(response: HTTPResponse, most: int) -> str:
    """The first bytes of the body as text; what was read counts also when the rest never comes."""
    parts: list[bytes] = []
    left = most
    with suppress(OSError, HTTPException):
        while left > 0 and (part := response.read1(left)):
            parts.append(part)
            left -= len(part)
        response.read(0)  # notices that nothing is left, so that the connection can be used again
    text = b"".join(parts).decode(errors="replace")
    return "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")


def _describe(error: Exception, receiver: Receiver, *, timed_out: bool) -> str:
    host = receiver.host
    if timed_out or isinstance(error, TimeoutError):
        return f"{host} did not answer within {receiver.seconds:g} seconds."
    if isinstance(error, socket.gaierror):
        return f"The host {host} cannot be found: look at the URL."
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate of {host} cannot be trusted: {error.verify_message}."
    if isinstance(error, ssl.SSLError):
        return f"{host} does not speak TLS as it should: {error.reason or 'the handshake failed'}."
    if isinstance(error, ConnectionRefusedError):
        return f"Nothing listens at {host}, port {receiver.port}: look at the URL, and whether the receiver runs."
    if isinstance(error, HTTPException) and not isinstance(error, ConnectionError):
        return f"{host} answered with something that is not HTTP."
    if isinstance(error, ConnectionError):
        return f"{host} ended the connection without an answer."
    return f"{host} cannot be reached: {getattr(error, 'strerror', None) or error}."
