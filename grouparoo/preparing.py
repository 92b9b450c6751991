"""What is done once before the processes of this version of the code start, by `manage.py prepare`, `up`, `demo`."""

from __future__ import annotations

import io
from collections.abc import Callable

from django.core.management import call_command
from django.utils import timezone

from core.accounts import project
from core.work import partitions


def prepare(*, write: Callable[[str], None]) -> None:
    """Check the settings and the database, bring the tables and the static files up to date. Safe to repeat.

    On a restored or moved copy of the database all sending is stopped until a person starts it again.
    """
    write("Preparing the database and the pages.")
    call_command("check", databases=["default"], stdout=io.StringIO())
    call_command("migrate", interactive=False, verbosity=0)
    partitions.ensure(timezone.now())
    if project.note_start():
        write(f"Sending is stopped. {project.COPY_REASON}")
    call_command("collectstatic", interactive=False, verbosity=0)
