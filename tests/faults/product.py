"""The product's processes on servers of a test's own, and the ways to break them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import redis
from django.db import connection

from apps_connectors import connections
from core.lib.processes import ProcessGroup, find_free_port
from core.lib.servers import PROJECT, Servers
from grouparoo.running import beat_command, web_command, worker_command
from tests.waiting import wait_until


@dataclass
class Product:
    """Starts and kills web, worker and beat."""

    servers: Servers
    group: ProcessGroup
    env: dict[str, str]
    logs: Path
    port: int = 0
    started: list[Path] = field(default_factory=list)

    def start_worker(self) -> int:
        """A worker of two processes; returns when it takes tasks."""
        return self.start_workers(1, processes=2)[0]

    def start_workers(self, count: int, *, processes: int = 1) -> list[int]:
        """Workers side by side; returns when all of them take tasks."""
        command = [*worker_command(processes=processes), "--loglevel", "INFO"]
        started = [self._start(command, name="worker") for _ in range(count)]
        for child, log in started:
            wait_until(
                lambda log=log, child=child: " ready." in log.read_text() or child.poll() is not None,  # type: ignore[misc]
                what="the worker is ready",
                within=40,
            )
            assert child.poll() is None, log.read_text()
        return [child.pid for child, _ in started]

    def start_beat(self) -> int:
        """What sends the sweeps."""
        return self._start(beat_command(), name="beat")[0].pid

    def start_web(self) -> int:
        """A web server of one process, always on the same port; returns at once."""
        self.port = self.port or find_free_port()
        return self._start(web_command(host="127.0.0.1", port=self.port, processes=1), name="web")[0].pid

    def collect_pages(self) -> None:
        """What pages are made of besides their words; programs need none of it."""
        command = [sys.executable, "manage.py", "collectstatic", "--no-input", "-v", "0"]
        subprocess.run(command, check=True, cwd=PROJECT, env=self.env)

    def kill(self, pid: int) -> None:
        """End a process and everything it started, with no chance to say goodbye."""
        family = [pid, *descendants(pid)]
        for member in family:
            with suppress(ProcessLookupError):  # those it started may end with it
                os.kill(member, signal.SIGKILL)
        next(child for child in self.group.children if child.pid == pid).wait()

    def is_running(self, pid: int) -> bool:
        """Whether a process that was started here has not ended."""
        return next(child for child in self.group.children if child.pid == pid).poll() is None

    def kill_one_child(self, pid: int) -> None:
        """End one of the processes that a worker started; the worker itself stays."""

        def is_killed() -> bool:
            try:
                os.kill(descendants(pid)[-1], signal.SIGKILL)
            except (IndexError, ProcessLookupError):  # the last one killed is gone, and the next has not begun
                return False
            return True

        wait_until(is_killed, what="a process of the worker to kill", within=30)

    def flush_valkey(self) -> None:
        """Forget every message on every queue."""
        with redis.from_url(self.servers.redis_url) as client:
            client.flushall()

    def restart_postgres(self, *, pause: float = 0.0) -> None:
        """Stop the database under everyone's feet and start it again."""
        self.servers.stop_server("postgres")
        wait_for(pause)
        self.servers.start_server("postgres")
        connection.close()
        connections.close_all()

    def log(self) -> str:
        """The last lines of every process, for a test that failed."""
        return "\n".join(f"---- {path.name}\n{path.read_text()[-3000:]}" for path in self.started)

    def _start(self, command: list[str], *, name: str) -> tuple[subprocess.Popen[bytes], Path]:
        log = self.logs / f"{name}-{len(self.started)}.log"
        self.started.append(log)
        with log.open("wb") as output:
            return self.group.start(command, env=self.env, output=output), log


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and those they started, by their ids."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
        except OSError:  # it ended while we looked
            continue
        parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(folder.name))
    found: list[int] = []
    for child in parents.get(pid, []):
        found += [child, *descendants(child)]
    return found


def wait_for(seconds: float) -> None:
    """Let a part of the product be away for a while: here the time itself is the fault."""
    Event().wait(seconds)
