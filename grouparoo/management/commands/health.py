"""`manage.py health web|worker|sender|beat`: whether the program on this machine lives, for a container's check."""

from __future__ import annotations

import http.client
import socket
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from grouparoo import beating
from grouparoo.celery import app as celery

_SECONDS = 5.0


class Command(BaseCommand):
    """Exits non-zero with a sentence when it is not."""

    help = "Says whether a program that `manage.py run` started on this machine is alive."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which one."""
        parser.add_argument("program", choices=("web", "worker", "sender", "beat"))
        parser.add_argument("--port", type=int, default=8000, help="web: where it listens")

    def handle(self, *args: Any, program: str, port: int, **options: Any) -> None:
        """Ask it."""
        alive = {
            "web": lambda: _is_web_alive(port),
            "worker": lambda: _is_worker_alive("worker"),
            "sender": lambda: _is_worker_alive("sender"),
            "beat": beating.is_alive,
        }
        if not alive[program]():
            raise CommandError(f"The {program} does not answer.")
        self.stdout.write(f"The {program} is alive.")


def _is_web_alive(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _is_worker_alive(name: str) -> bool:
    """A worker whose broker is away cannot be asked; it is alive as far as anyone knows, and must not be killed."""
    try:
        return bool(celery.control.ping(destination=[f"{name}@{socket.gethostname()}"], timeout=_SECONDS))
    except Exception:  # noqa: BLE001  whatever the transport raises, it is the broker that is away
        return True
