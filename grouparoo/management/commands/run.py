"""`manage.py run web|worker|sender|beat`: one of the product's programs, for a container or your own supervisor."""

from __future__ import annotations

import os
import socket
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connections

from grouparoo.running import beat_command, process_env, web_command, worker_command


class Command(BaseCommand):
    """Becomes the program: it gets the signals itself and its end is the program's."""

    help = "Runs one of the product's programs in place of this process."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which one, and its few choices."""
        parser.add_argument("program", choices=("web", "worker", "sender", "beat"))
        parser.add_argument("--host", default="0.0.0.0", help="web: the address to listen on")  # noqa: S104
        parser.add_argument("--port", type=int, default=8000, help="web: the port to listen on")
        parser.add_argument("--queues", default="", help="worker, sender: other queues than theirs, with commas")

    def handle(self, *args: Any, program: str, host: str, port: int, queues: str, **options: Any) -> None:
        """Never returns."""
        connections.close_all()
        named = [queue.strip() for queue in queues.split(",") if queue.strip()]
        commands = {
            "web": lambda: web_command(host=host, port=port, processes=settings.WEB_PROCESSES),
            "worker": lambda: worker_command(
                processes=settings.WORKER_PROCESSES,
                queues=named or settings.INNER_QUEUES,
                name=f"worker@{socket.gethostname()}",
            ),
            "sender": lambda: worker_command(
                processes=settings.SENDER_PROCESSES,
                queues=named or settings.OUTER_QUEUES,
                name=f"sender@{socket.gethostname()}",
            ),
            "beat": beat_command,
        }
        command = commands[program]()
        env = process_env(program, database_url=settings.DATABASE_URL, redis_url=settings.REDIS_URL)
        os.execvpe(command[0], command, env)  # noqa: S606  the program's own command, no shell
