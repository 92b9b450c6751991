"""`manage.py upload_csv FILE --app NAME`: import a CSV file, and with `--wait` follow the run to its end."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from core.accounts.actors import SYSTEM
from core.lib.errors import ProductError
from schedules.models import Run, RunState
from schedules.progress import progress_of
from schedules.runs import UNFINISHED
from schedules.uploads import start_upload

_POLL_SECONDS = 0.5


class Command(BaseCommand):
    """Upload a CSV file to an App of the type CSV. The workers import it; `--wait` shows how far they are."""

    help = "Import a CSV file into profiles by an App of the type CSV."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The file, the App, and whether to wait."""
        parser.add_argument("file", type=Path, help="the CSV file, plain or compressed by gzip")
        parser.add_argument("--app", required=True, help="the name of the App that takes it")
        parser.add_argument("--wait", action="store_true", help="follow the run until it has ended")

    def handle(self, *args: Any, **options: Any) -> None:
        """Start the run and print its id."""
        path: Path = options["file"]
        try:
            with path.open("rb") as file:
                run = start_upload(options["app"], file, name=path.name, actor=SYSTEM)
        except OSError as error:
            raise CommandError(f"The file {path} cannot be read: {error.strerror}.") from None
        except ProductError as error:
            raise CommandError(error.message) from None
        self.stdout.write(f"Run {run.pk} imports {path.name}.")
        if options["wait"]:
            self._follow(run)

    def _follow(self, run: Run) -> None:
        while run.state in UNFINISHED:
            progress = progress_of(run, now=timezone.now())
            shown = "waiting" if progress.percent is None else f"{progress.percent} %"
            self.stdout.write(f"\r{shown}   ", ending="")
            self.stdout.flush()
            time.sleep(_POLL_SECONDS)
            run = Run.objects.select_related("work").get(pk=run.pk)
        counts = ", ".join(f"{key} {number}" for key, number in run.counters.items() if number)
        self.stdout.write(f"\rRun {run.pk} is {run.get_state_display().lower()}: {counts or 'no rows'}.")
        for error in run.errors.order_by("-count")[:10]:
            self.stdout.write(f"  {error.count} × {error.message}, such as {error.examples[:1]}")
        if run.state != RunState.COMPLETE:
            raise CommandError(run.error or "The run did not complete.")
