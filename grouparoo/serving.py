"""Brings the product up on one machine: the embedded servers, and its processes under one terminal."""

from __future__ import annotations

import contextlib
import http.client
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from django.conf import settings

from core.lib.processes import Program, Supervisor, find_free_port
from core.lib.servers import start_servers
from grouparoo.running import beat_command, process_env, web_command, worker_command

ANSWER_SECONDS = 60


@contextlib.contextmanager
def hold_servers() -> Iterator[None]:
    """Run the embedded servers while the block runs."""
    programs = Path(settings.PG_BIN) if settings.PG_BIN else None
    with start_servers(settings.VAR, programs=programs):
        yield


def serve(
    *,
    host: str,
    port: int,
    write: Callable[[str], None],
    when_up: Callable[[str, threading.Event], None],
) -> None:
    """Run web, worker, sender and beat until Ctrl-C or a signal, starting each again that ends.

    `when_up` is called in a thread with the web address once it answers, and with the event that ends it all; an
    exception in it ends everything too and is raised here.
    """
    env = {"database_url": settings.DATABASE_URL, "redis_url": settings.REDIS_URL}
    supervisor = Supervisor(
        [
            Program(
                "web",
                web_command(host=host, port=port, processes=settings.WEB_PROCESSES),
                process_env("web", **env),
            ),
            Program(
                "worker",
                worker_command(processes=settings.WORKER_PROCESSES, queues=settings.INNER_QUEUES),
                process_env("worker", **env),
            ),
            Program(
                "sender",
                worker_command(processes=settings.SENDER_PROCESSES, queues=settings.OUTER_QUEUES),
                process_env("sender", **env),
            ),
            Program("beat", beat_command(), process_env("beat", **env)),
        ],
        write=write,
    )

    def follow() -> None:
        if wait_for_web(host, port, stop=supervisor.stop_asked):
            when_up(f"http://{host}:{port}/", supervisor.stop_asked)

    def note_end(future: Future[None]) -> None:
        if future.exception() is not None:
            supervisor.stop_asked.set()

    with ThreadPoolExecutor(max_workers=1) as pool:
        futures: list[Future[None]] = []

        def start_to_follow() -> None:
            futures.append(pool.submit(follow))
            futures[0].add_done_callback(note_end)

        supervisor.run(when_started=start_to_follow, until=is_left_by_make(os.getppid()))
        for future in futures:
            future.result()


def is_left_by_make(parent: int) -> Callable[[], bool]:
    """Return a question: were we started by make, and has make been killed since?"""
    return lambda: "MAKELEVEL" in os.environ and os.getppid() != parent


def wait_for_web(host: str, port: int, *, stop: threading.Event) -> bool:
    """Return True when the web address answers, whatever it says; False when everything is asked to stop before."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline and not stop.wait(0.1):
        connection = http.client.HTTPConnection(host, port, timeout=10)
        try:
            connection.request("HEAD", "/")
            connection.getresponse()
        except (OSError, http.client.HTTPException):
            continue
        else:
            return True
        finally:
            connection.close()
    if stop.is_set():
        return False
    raise TimeoutError(f"The web process did not answer at {host}:{port} within {ANSWER_SECONDS} s.")


def choose_port(asked: int | None, *, host: str) -> int:
    """Return the port that was asked for, else 8000 if it is free, else any free one."""
    return asked or find_free_port(preferred=8000, host=host)
