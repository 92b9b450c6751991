"""`manage.py demo`: the demo shop from its tables to Mailchimp, through the product's own processes, then the UI."""

from __future__ import annotations

import sys
import threading
import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from grouparoo import demo
from grouparoo.preparing import prepare
from grouparoo.screen import Screen
from grouparoo.serving import choose_port, serve

LOOK_SECONDS = 0.5
STUCK_SECONDS = 300.0


class Command(BaseCommand):
    """Loads the shop, waits for the flow to reach its end, sums up, and serves until Ctrl-C."""

    help = "Loads the demo shop, runs the whole flow until the exports are done, and serves the UI until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to listen, and whether to stay."""
        parser.add_argument("--once", action="store_true", help="end after the summary")
        parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
        parser.add_argument("--port", type=int, help="the port to listen on (8000, or a free one if that is taken)")

    def handle(self, *args: Any, once: bool, host: str, port: int | None, **options: Any) -> None:
        """Exits non-zero when the flow fails, gets stuck, or is stopped before its end."""
        screen = Screen(sys.stdout)
        prepare(write=screen.write)
        reached: list[str] = []
        with demo.run_mailchimp() as mailchimp:
            demo.load(mailchimp, write=screen.write)
            connection.close()

            def play(address: str, stop: threading.Event) -> None:
                try:
                    follow_flow(screen, is_stopped=stop.wait)
                    if stop.is_set():
                        return
                    reached.extend(demo.summarize(mailchimp))
                finally:
                    connection.close()  # this thread's own
                for line in reached:
                    screen.write(line)
                if once:
                    stop.set()
                else:
                    screen.write(f"\nThe UI is at {address}   (Ctrl-C stops everything)")

            serve(host=host, port=choose_port(port, host=host), write=screen.write, when_up=play)
        if not reached:
            raise CommandError("Stopped before the flow had reached its end; the next start goes on with it.")


def follow_flow(screen: Screen, *, is_stopped: Callable[[float], bool]) -> None:
    """Start the flow and show its progress until it has reached its end; `is_stopped` waits so many seconds."""
    demo.start()
    shown: object = None
    moved_at = time.monotonic()
    while True:
        flow = demo.look()
        if flow.bars != shown:
            shown, moved_at = flow.bars, time.monotonic()
        screen.show(flow.bars)
        if flow.problem:
            raise CommandError(flow.problem)
        if flow.is_done:
            screen.finish()
            return
        if time.monotonic() - moved_at > STUCK_SECONDS:
            raise CommandError(f"Nothing has moved for {STUCK_SECONDS / 60:.0f} minutes.")
        if is_stopped(LOOK_SECONDS):
            return
