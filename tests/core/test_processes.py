"""Child processes end with their starter, and the supervisor starts again what ends."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import psutil

from core.lib.processes import ProcessGroup, Program, Supervisor, describe_end, find_free_port
from core.lib.servers import PROJECT
from tests.waiting import wait_until

STARTER = """
import sys, time
from core.lib.processes import ProcessGroup
group = ProcessGroup()
child = group.start([sys.executable, "-c", sys.argv[1]])
print(child.pid, flush=True)
time.sleep(600)
"""
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
time.sleep(600)
"""
SAY_PID = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"


def is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def test_kill_9_of_the_starter_ends_even_a_stubborn_child_and_its_child() -> None:
    starter = subprocess.Popen([sys.executable, "-c", STARTER, STUBBORN], cwd=PROJECT, stdout=subprocess.PIPE)
    assert starter.stdout is not None
    with starter.stdout as output:
        child = int(output.readline())
    wait_until(lambda: len(psutil.Process(child).children()) == 1, what="the child has a child")
    grandchild = psutil.Process(child).children()[0].pid
    starter.kill()
    starter.wait()
    wait_until(lambda: not is_running(child) and not is_running(grandchild), what="both have ended")


def test_stop_ends_what_does_not_want_to() -> None:
    with ProcessGroup() as group:
        child = group.start([sys.executable, "-c", STUBBORN])
        wait_until(lambda: len(psutil.Process(child.pid).children()) == 1, what="the child has a child")
        grandchild = psutil.Process(child.pid).children()[0].pid
        group.stop(within=0.2)
        assert child.returncode is not None
    wait_until(lambda: not is_running(grandchild), what="the grandchild has ended")


def test_a_killed_child_is_started_again_and_its_lines_carry_its_name() -> None:
    lines: list[str] = []
    supervisor = Supervisor([Program("web", [sys.executable, "-c", SAY_PID], {})], write=lines.append)

    def watch() -> None:
        try:
            wait_until(lambda: len(lines) == 1, what="the child speaks")
            psutil.Process(int(lines[0].removeprefix("web | "))).kill()
            wait_until(lambda: len(lines) == 3, what="another child speaks")
        finally:
            supervisor.stop_asked.set()

    watcher = threading.Thread(target=watch)
    supervisor.run(when_started=watcher.start)
    watcher.join()
    assert lines[1].startswith("web ended (killed by SIGKILL)")
    first, second = (int(line.removeprefix("web | ")) for line in (lines[0], lines[2]))
    assert first != second
    assert not is_running(second)


def test_a_child_that_ends_at_once_is_started_with_growing_pauses() -> None:
    lines: list[str] = []
    supervisor = Supervisor([Program("web", [sys.executable, "-c", "raise SystemExit(3)"], {})], write=lines.append)

    def stop_after_two_ends() -> None:
        try:
            wait_until(lambda: len(lines) == 2, what="it has ended twice")
        finally:
            supervisor.stop_asked.set()

    stopper = threading.Thread(target=stop_after_two_ends)
    supervisor.run(when_started=stopper.start)
    stopper.join()
    assert lines[:2] == [
        "web ended (exit status 3); starting it again in 0.5 s.",
        "web ended (exit status 3); starting it again in 1 s.",
    ]


def test_output_of_a_child_goes_where_it_is_told(tmp_path: Path) -> None:
    with ProcessGroup() as group, (tmp_path / "out").open("wb") as output:
        group.start([sys.executable, "-c", "import sys; sys.stderr.write('both')"], output=output).wait()
    assert (tmp_path / "out").read_text() == "both"


def test_a_taken_port_gives_way_to_a_free_one() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        assert find_free_port(preferred=port) != port


def test_an_end_is_said_in_words() -> None:
    assert describe_end(-15) == "killed by SIGTERM"
    assert describe_end(1) == "exit status 1"
