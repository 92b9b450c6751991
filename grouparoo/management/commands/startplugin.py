"""`manage.py startplugin NAME`: a small plugin package that works, with its tests, to be changed from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.lib.errors import ProductError
from plugins.scaffold import write_plugin


class Command(BaseCommand):
    """Writes the package and says how to test and install it. Needs no server."""

    help = __doc__
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """The tool's name and where the package goes."""
        parser.add_argument("name", help="what the tool is called, in small letters, such as acme-crm")
        parser.add_argument("--directory", help="the new folder; ./grouparoo-NAME when left out")

    def handle(self, *_: Any, name: str, directory: str | None, **__: Any) -> None:
        """Write it, or say why not."""
        folder = Path(directory or f"grouparoo-{name}")
        try:
            written = write_plugin(name, folder=folder)
        except (ProductError, OSError) as error:
            raise CommandError(str(error)) from None
        for path in written:
            self.stdout.write(f"  {path}")
        self.stdout.write(
            "It works as it is. Test it, install it, and see it on the Marketplace page after the next start:\n"
            f"  .venv/bin/python -m pytest -c {folder}/pyproject.toml {folder}\n"
            f"  .venv/bin/pip install --editable {folder}"
        )
