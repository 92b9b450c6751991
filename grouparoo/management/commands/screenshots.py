"""`manage.py screenshots`: the demo shop with an invented month behind it, and a picture of every screen."""

from __future__ import annotations

import sys
import threading
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from core.accounts.actors import SYSTEM
from core.lib.processes import find_free_port
from grouparoo import demo, pictures
from grouparoo.demo import past, people
from grouparoo.management.commands.demo import follow_flow
from grouparoo.preparing import prepare
from grouparoo.screen import Screen
from grouparoo.serving import serve
from schedules import plans, schedules_store
from schedules.models import Direction, Run, RunState, Schedule

_HOST = "127.0.0.1"
_PLAN_SECONDS = 60


class Command(BaseCommand):
    """Run it by `make screenshots`, which gives it an installation of its own: it invents a past."""

    help = "Plays the demo on this installation, invents a month of history, and writes a picture of every screen."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where the pictures go."""
        parser.add_argument("--to", type=Path, default=settings.BASE_DIR / "docs" / "screenshots", help="the folder")

    def handle(self, *args: Any, to: Path, **options: Any) -> None:
        """Exits non-zero with a sentence when something is missing or the flow fails."""
        if not pictures.CAN_BE_TAKEN:
            raise CommandError(pictures.MISSING)
        browser = pictures.find_browser()
        if browser is None:
            raise CommandError(pictures.NO_BROWSER)
        screen = Screen(sys.stdout)
        prepare(write=screen.write)
        with demo.run_mailchimp() as mailchimp:
            demo.load(mailchimp, write=screen.write)
            past.make_runs()
            connection.close()

            def play(address: str, stop: threading.Event) -> None:
                try:
                    follow_flow(screen, is_stopped=stop.wait)
                    if not stop.is_set():
                        past.make_sizes()
                        past.make_tallies()
                        plan_export(stop)
                        screens = pictures.list_screens()
                finally:
                    connection.close()  # this thread's own
                if not stop.is_set():
                    login = (people.EMAIL, people.password())
                    size = pictures.take(address, screens, folder=to, sign_in=login, browser=browser)
                    screen.write(f"{len(screens)} screens, {size / 1e6:.1f} MB in {to}")
                stop.set()

            serve(host=_HOST, port=find_free_port(preferred=8000, host=_HOST), write=screen.write, when_up=play)


def plan_export(stop: threading.Event) -> None:
    """A dry run of an export that lost a group, so that there is a plan to look at; waits until it has ended."""
    schedule = Schedule.objects.filter(direction=Direction.EXPORT).order_by("id")[0]
    data = schedules_store.read_data(schedule)
    kept = dict(list(data.groups.items())[:1])
    schedules_store.update_schedule(schedule.pk, replace(data, groups=kept, enabled=False), actor=SYSTEM)
    run = plans.start(schedule.pk, actor=SYSTEM)
    for _ in range(_PLAN_SECONDS * 2):
        if stop.wait(0.5) or Run.objects.get(pk=run.pk).state not in (RunState.PENDING, RunState.RUNNING):
            return
