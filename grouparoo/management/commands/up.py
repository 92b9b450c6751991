"""`manage.py up`: the whole product on this machine, under one terminal, until Ctrl-C."""

from __future__ import annotations

import sys
import threading
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.db import connection

from core.accounts import people
from grouparoo.preparing import prepare
from grouparoo.screen import Screen
from grouparoo.serving import choose_port, serve


class Command(BaseCommand):
    help = "Runs web, worker and beat (and the embedded servers) until Ctrl-C; what ends is started again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
        parser.add_argument("--port", type=int, help="the port to listen on (8000, or a free one if that is taken)")

    def handle(self, *args: Any, **options: Any) -> None:
        screen = Screen(sys.stdout)
        prepare(write=screen.write)
        anyone, asks_in_browser = get_user_model().objects.exists(), people.is_first_wanted()
        connection.close()

        def announce(address: str, stop: threading.Event) -> None:
            screen.write(f"\nGrouparoo is up: {address}   (Ctrl-C stops it)")
            if asks_in_browser:
                screen.write("Open it: whoever comes first becomes the admin.\n")
            elif not anyone:
                screen.write(
                    "Nobody can sign in yet: python manage.py createuser --email you@example.com --role admin\n"
                )

        port = choose_port(options["port"], host=options["host"])
        serve(host=options["host"], port=port, write=screen.write, when_up=announce)
