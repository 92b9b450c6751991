"""The keeper: a small process of its own that runs the embedded servers as long as someone needs them.

Everyone who needs the servers holds a connection to the keeper's socket. When the last connection closes, for whatever
reason (an orderly end, Ctrl-C, kill -9), the keeper stops the servers and ends. A server that ends unasked is started
again. Started by `core.lib.servers.start_servers` alone: `python -m core.lib.servers.keeper HOME PROGRAMS DURABLE`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType
from typing import IO

from core.lib.servers.account import ServerError, make_folder
from core.lib.servers.places import Places, locate
from core.lib.servers.postgres import Postgres
from core.lib.servers.valkey import Valkey

WAIT_FOR_LOCK_SECONDS = 150
WAIT_FOR_FIRST_SECONDS = 20
LOOK_SECONDS = 0.3


class Keeper:
    """Serves the leases of one home folder."""

    def __init__(self, servers: list[Postgres | Valkey], *, listener: socket.socket) -> None:
        self.servers = servers
        self.listener = listener
        self.paused: set[str] = set()
        self.leases: set[socket.socket] = set()
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, selectors.EVENT_READ)
        self.error: str | None = None
        self.stopping = False

    def run(self) -> None:
        """Start the servers, keep them while there is a lease, stop them."""
        signal.signal(signal.SIGTERM, self.ask_to_stop)
        signal.signal(signal.SIGINT, self.ask_to_stop)
        try:
            for server in self.servers:
                server.start()
        except (ServerError, OSError) as error:
            self.error = str(error)
        first_deadline = time.monotonic() + WAIT_FOR_FIRST_SECONDS
        had_lease = False
        while not self.stopping:
            for key, _ in self.selector.select(LOOK_SECONDS):
                self.answer(key.fileobj)
            had_lease = had_lease or bool(self.leases)
            self.restart_ended()
            self.stopping = self.stopping or (not had_lease and time.monotonic() > first_deadline)

    def close(self) -> None:
        """Stop the servers, last started first, and only then let go of those who wait for it."""
        self.listener.close()
        for server in reversed(self.servers):
            server.stop()
        for lease in self.leases:
            lease.close()

    def ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def answer(self, who: object) -> None:
        """Take a new lease, or a word from one."""
        if who is self.listener:
            lease, _ = self.listener.accept()
            with contextlib.suppress(OSError):  # it may be gone already; its end is read next
                lease.sendall(json.dumps({"error": self.error}).encode() + b"\n")
            self.leases.add(lease)
            self.selector.register(lease, selectors.EVENT_READ)
            return
        assert isinstance(who, socket.socket)  # noqa: S101  (told to the type checker)
        try:
            word = who.recv(1024).decode().strip()
        except OSError:
            word = ""
        if word:
            who.sendall(self.obey(word).encode() + b"\n")
            return
        self.selector.unregister(who)
        if self.leases == {who}:
            self.stopping = True  # the lease stays open until the servers are gone
        else:
            self.leases.discard(who)
            who.close()

    def obey(self, word: str) -> str:
        """Do `stop NAME` or `start NAME`; return `ok` or what went wrong."""
        verb, _, name = word.partition(" ")
        server = next((each for each in self.servers if each.name == name), None)
        if server is None or verb not in ("stop", "start"):
            return f"unknown: {word}"
        try:
            if verb == "stop":
                self.paused.add(name)
                server.stop()
            else:
                server.start()
                self.paused.discard(name)
        except (ServerError, OSError) as error:
            return str(error)
        return "ok"

    def restart_ended(self) -> None:
        for server in self.servers:
            if server.name not in self.paused and server.has_ended():
                try:
                    server.start()
                except (ServerError, OSError) as error:
                    sys.stderr.write(f"{server.name}: {error}\n")


def take_lock(places: Places) -> IO[str] | None:
    """Return the lock that makes us the only keeper of these folders, or None when another one serves already."""
    lock = (places.base / "keeper.lock").open("w")
    deadline = time.monotonic() + WAIT_FOR_LOCK_SECONDS
    while time.monotonic() < deadline:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if is_served(places):
                return None
            time.sleep(0.05)
        else:
            return lock
    return None


def is_served(places: Places) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(places.keeper_socket)) == 0


def main() -> None:
    """Leave the starter's process tree, become the only keeper, and keep."""
    home, programs, durable = sys.argv[1:]
    if os.fork():
        os._exit(0)
    os.setsid()
    places = locate(Path(home))
    make_folder(places.base)
    make_folder(places.run)
    lock = take_lock(places)
    if lock is None:
        return
    with lock, socket.socket(socket.AF_UNIX) as listener:
        places.keeper_socket.unlink(missing_ok=True)
        listener.bind(str(places.keeper_socket))
        places.keeper_socket.chmod(0o600)
        listener.listen(64)
        postgres = Postgres(places, programs=Path(programs) if programs else None, durable=durable == "durable")
        keeper = Keeper([postgres, Valkey(places)], listener=listener)
        try:
            keeper.run()
        finally:
            places.keeper_socket.unlink(missing_ok=True)
            keeper.close()


if __name__ == "__main__":
    main()
