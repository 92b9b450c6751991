"""`manage.py prepare`: tables and static files for this version of the code, before its processes start."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from grouparoo.preparing import prepare


class Command(BaseCommand):
    """Run it after every update and after restoring a backup; `up` and `demo` do it themselves."""

    help = "Checks the settings and the database, migrates, and collects static files."

    def handle(self, *args: Any, **options: Any) -> None:
        """Exits non-zero with a sentence when something has to be mended first."""
        prepare(write=self.stdout.write)
