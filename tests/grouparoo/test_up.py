"""`manage.py up`: one terminal, nothing left running, and what ends is started again."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from core.lib.servers import PROJECT
from core.lib.servers.places import locate
from tests.waiting import wait_until

WITHIN = 60.0


class Up:
    """A running `manage.py up` on a folder of its own, and what it has printed."""

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self.home = folder / "var"
        self.log = folder / "log"
        given = ("DATABASE_URL", "REDIS_URL", "PG_BIN", "DJANGO_SETTINGS_MODULE", "GROUPAROO_SECRET_KEYS", "SECRET_KEY")
        env = {key: value for key, value in os.environ.items() if key not in given}
        command = [sys.executable, "manage.py", "up", *(["--port", str(port)] if port else [])]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=PROJECT,
                env=env
                | {
                    "GROUPAROO_VAR": str(self.home),
                    "WEB_PROCESSES": "1",
                    "WORKER_PROCESSES": "1",
                    "SENDER_PROCESSES": "1",
                },
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def text(self) -> str:
        return self.log.read_text()

    def wait_for(self, words: str, *, times: int = 1) -> None:
        wait_until(
            lambda: self.text.count(words) >= times or self.process.poll() is not None, what=words, within=WITHIN
        )
        assert self.text.count(words) >= times, self.text

    @property
    def address(self) -> str:
        self.wait_for("Grouparoo is up: http")
        return self.text.partition("Grouparoo is up: ")[2].split()[0]

    def find(self, *words: str) -> list[psutil.Process]:
        """The processes of this `up` whose command line has all of `words`."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() == psutil.STATUS_ZOMBIE:
                    continue
                line = " ".join(process.cmdline())
                ours = str(locate(self.home).base) in line or process.environ().get("GROUPAROO_VAR") == str(self.home)
                if ours and all(word in line for word in words):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def end(self, number: signal.Signals) -> None:
        """Send a signal to `up` alone and see that nothing of it is left."""
        self.process.send_signal(number)
        self.process.wait(timeout=WITHIN)
        wait_until(lambda: self.find() == [], what="nothing runs any more", within=30)
        places = locate(self.home)
        for folder in {places.base, places.run.parent} - {self.home}:
            shutil.rmtree(folder, ignore_errors=True)  # what root keeps for this home alone


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    running = Up(tmp_path)
    yield running
    if running.process.poll() is None:
        running.end(signal.SIGTERM)


def answers(address: str) -> bool:
    """Tell whether a page or a redirect comes back."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def test_it_serves_starts_again_what_is_killed_and_ends_in_order(up: Up) -> None:
    assert answers(up.address)
    for name, words in (
        ("web", "gunicorn"),
        ("worker", "events,imports"),
        ("sender", "exports,outbound"),
        ("beat", "beat"),
    ):
        parents = {process.pid for process in up.find(words)}
        main = next(process for process in up.find(words) if process.ppid() not in parents)
        main.kill()
        up.wait_for(f"{name} ended (killed by SIGKILL); starting it again")
        wait_until(lambda: bool(up.find(words)), what=f"{name} runs again", within=WITHIN)  # noqa: B023 - called in this turn
    wait_until(lambda: answers(up.address), what="the web answers again", within=WITHIN)
    killed = len(up.text)  # up to here children of a killed process may have complained that it is gone
    up.end(signal.SIGINT)
    assert up.process.returncode == 0
    assert "Traceback" not in up.text[killed:], up.text


def test_kill_9_leaves_nothing_running(up: Up) -> None:
    assert answers(up.address)
    up.end(signal.SIGKILL)


def test_a_given_port_is_used_and_an_absent_one_is_found(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    running = Up(tmp_path, port=port)
    try:
        assert running.address == f"http://127.0.0.1:{port}/"
    finally:
        running.end(signal.SIGTERM)
    assert running.process.returncode == 0
