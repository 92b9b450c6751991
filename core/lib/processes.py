"""Child processes that never outlive their starter, and a supervisor that keeps them running.

`ProcessGroup` is for everyone who starts programs (the supervisor, benchmarks, tests); `Supervisor` is what
`manage.py up` and `manage.py demo` run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self

WATCHDOG = Path(__file__).with_name("watchdog.py")
LOOK_SECONDS = 0.1
STOP_SECONDS = 15.0
SETTLED_SECONDS = 10.0  # a child that lived longer starts again at once
LONGEST_PAUSE_SECONDS = 30.0


class ProcessGroup:
    """Programs that are killed when this process ends in any way, kill -9 included."""

    def __init__(self) -> None:
        self.watchdog = subprocess.Popen(
            [sys.executable, "-I", WATCHDOG], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, process_group=0
        )
        self.children: list[subprocess.Popen[bytes]] = []

    def start(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        output: IO[bytes] | int | None = None,
        cwd: Path | None = None,
        user: int | None = None,
        group: int | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a program in the group; its output goes to `output`, stderr with stdout."""
        child = subprocess.Popen(
            [str(part) for part in command],
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output is not None else None,
            process_group=self.watchdog.pid,
            user=user,
            group=group,
            extra_groups=[] if user is not None else None,
        )
        self.children.append(child)
        return child

    def stop(self, *, within: float = STOP_SECONDS) -> None:
        """Ask the children to end, wait at most `within` seconds, then kill what is left of the group."""
        for child in self.children:
            if child.poll() is None:
                child.terminate()
        deadline = time.monotonic() + within
        for child in self.children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=max(0.0, deadline - time.monotonic()))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.watchdog.pid, signal.SIGKILL)
        for child in (*self.children, self.watchdog):
            child.wait()
        if self.watchdog.stdin is not None:
            self.watchdog.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


@dataclass(frozen=True, slots=True)
class Program:
    """What the supervisor keeps running, and the name before its lines."""

    name: str
    command: Sequence[str | Path]
    env: Mapping[str, str]


@dataclass(slots=True)
class Child:
    """One program's present process, and when it may start again."""

    program: Program
    process: subprocess.Popen[bytes] | None = None
    reader: threading.Thread | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    pause: float = field(default=0.0)


class Supervisor:
    """Runs programs under one terminal and starts each again that ends."""

    def __init__(self, programs: Sequence[Program], *, write: Callable[[str], None]) -> None:
        """`write` takes one line of output, from several threads."""
        self.children = [Child(program) for program in programs]
        self.write = write
        self.width = max(len(program.name) for program in programs)
        self.stop_asked = threading.Event()

    def run(self, *, when_started: Callable[[], None] | None = None, until: Callable[[], bool] = lambda: False) -> None:
        """Keep the programs running until SIGINT, SIGTERM, SIGHUP or `until()` holds, then end them all."""
        before = {number: signal.signal(number, self.ask_to_stop) for number in STOP_SIGNALS}
        try:
            with ProcessGroup() as group:
                self.look_after(group)
                if when_started is not None:
                    when_started()
                while not self.stop_asked.wait(LOOK_SECONDS) and not until():
                    self.look_after(group)
                self.stop_asked.set()
                self.write("Stopping.")
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        for child in self.children:
            if child.reader is not None:
                child.reader.join(timeout=1)

    def ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self.stop_asked.set()

    def look_after(self, group: ProcessGroup) -> None:
        """Start what is not running and is due."""
        now = time.monotonic()
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                self.note_end(child, group=group)
            if child.process is None and now >= child.start_at:
                self.start(child, group=group)

    def note_end(self, child: Child, *, group: ProcessGroup) -> None:
        """Choose when a child that ended starts again: at once, or after a growing pause if it ends at once."""
        assert child.process is not None  # noqa: S101  (told to the type checker)
        settled = time.monotonic() - child.started_at > SETTLED_SECONDS
        child.pause = 0.0 if settled else min(max(0.5, child.pause * 2), LONGEST_PAUSE_SECONDS)
        child.start_at = time.monotonic() + child.pause
        self.write(
            f"{child.program.name} ended ({describe_end(child.process.returncode)}); "
            + (f"starting it again in {child.pause:g} s." if child.pause else "starting it again.")
        )
        group.children.remove(child.process)
        child.process = None

    def start(self, child: Child, *, group: ProcessGroup) -> None:
        child.process = group.start(child.program.command, env=child.program.env, output=subprocess.PIPE)
        child.started_at = time.monotonic()
        child.reader = threading.Thread(target=self.copy_output, args=(child.program.name, child.process), daemon=True)
        child.reader.start()

    def copy_output(self, name: str, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # noqa: S101  (told to the type checker)
        with process.stdout as output:
            for line in output:
                self.write(f"{name:<{self.width}} | {line.decode(errors='replace').rstrip()}")


STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def describe_end(code: int) -> str:
    """Say in words how a process ended."""
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def find_free_port(*, preferred: int = 0, host: str = "127.0.0.1") -> int:
    """Return `preferred` if nothing listens there, else a port that the system says is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, preferred))
        except OSError:
            probe.bind((host, 0))
        return int(probe.getsockname()[1])
