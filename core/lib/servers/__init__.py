"""The embedded servers: a real PostgreSQL and a real Redis-protocol server, started from Python packages.

    with start_servers(Path("var")) as servers:
        connect(servers.database_url)

The servers run as long as at least one process holds what `start_servers` returned; a second caller on the same folder
shares them, and data stays for the next start. No end of a caller, kill -9 included, leaves them running.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from core.lib.servers.account import ServerError, make_folder
from core.lib.servers.places import Places, locate

__all__ = ["ServerError", "Servers", "start_servers"]

START_SECONDS = 240
PROJECT = Path(__file__).resolve().parent.parent.parent.parent


class Servers:
    """A hold on running servers; closing it, or the end of this process, lets them go."""

    def __init__(self, places: Places, *, lease: socket.socket) -> None:
        self.places = places
        self.lease = lease

    @property
    def database_url(self) -> str:
        return self.places.database_url

    @property
    def redis_url(self) -> str:
        return self.places.redis_url

    def stop_server(self, name: str) -> None:
        """Stop `postgres` or `valkey` for everyone until `start_server`; for tests of what happens then."""
        self.ask(f"stop {name}")

    def start_server(self, name: str) -> None:
        """Start `postgres` or `valkey` again after `stop_server`."""
        self.ask(f"start {name}")

    def ask(self, word: str) -> None:
        self.lease.sendall(word.encode() + b"\n")
        answer = self.lease.recv(65536).decode().strip()
        if answer != "ok":
            raise ServerError(answer or "The servers' keeper has ended.")

    def stop(self) -> None:
        """Let go; when nobody else holds the servers, return after they have stopped."""
        try:
            self.lease.shutdown(socket.SHUT_WR)
            while self.lease.recv(65536):
                pass
        except OSError:
            pass  # the keeper has gone before us
        finally:
            self.lease.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def start_servers(home: Path, *, programs: Path | None = None, durable: bool = True) -> Servers:
    """Start the servers of `home`, or share them if they run, and return when both answer.

    `programs` is a folder with other PostgreSQL programs (initdb, postgres, pg_ctl); without `durable` a crash of the
    machine may lose data, which makes tests faster. Raises `ServerError` with what to do.
    """
    places = locate(home)
    make_folder(places.base)
    make_folder(places.run)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        lease = connect(places)
        if lease is None:
            spawn_keeper(places, programs=programs, durable=durable)
            lease = wait_for_keeper(places)
        greeting = read_greeting(lease) if lease else b""
        if lease and greeting:
            error = json.loads(greeting)["error"]
            if error is None:
                return Servers(places, lease=lease)
            lease.close()
            raise ServerError(error)
        if lease:
            lease.close()  # that keeper was just ending
    raise ServerError(f"The servers did not start within {START_SECONDS} s. Look at {places.base / 'keeper.log'}.")


def connect(places: Places) -> socket.socket | None:
    lease = socket.socket(socket.AF_UNIX)
    lease.settimeout(START_SECONDS)
    try:
        lease.connect(str(places.keeper_socket))
    except OSError:
        lease.close()
        return None
    return lease


def read_greeting(lease: socket.socket) -> bytes:
    """What a keeper says first; nothing when it has ended meanwhile."""
    try:
        return lease.recv(65536)
    except ConnectionResetError:
        return b""


def wait_for_keeper(places: Places) -> socket.socket | None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        lease = connect(places)
        if lease is not None:
            return lease
        time.sleep(0.02)
    return None


def spawn_keeper(places: Places, *, programs: Path | None, durable: bool) -> None:
    """Start a keeper; it leaves our process tree at once, so that nothing we do can end it but closing the lease."""
    arguments = [str(places.home), str(programs or ""), "durable" if durable else "fast"]
    with (places.base / "keeper.log").open("ab") as log:
        subprocess.run(
            [sys.executable, "-m", "core.lib.servers.keeper", *arguments],
            check=True,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
