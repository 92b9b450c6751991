"""Makes an API key: `python manage.py createkey --name "web shop" --scope events:write`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.accounts.actors import SYSTEM
from core.accounts.keys import create_key
from core.accounts.permissions import SCOPES
from core.lib.errors import InvalidInput


class Command(BaseCommand):
    """Prints the token alone on the last line, for scripts."""

    help = "Makes an API key and prints its token, which cannot be seen again."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose, and for what."""
        parser.add_argument("--name", required=True, help="what will use the key")
        parser.add_argument(
            "--scope", action="append", required=True, choices=SCOPES, help="may be given several times"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the key and show its token."""
        try:
            key, token = create_key(options["name"], options["scope"], actor=SYSTEM)
        except InvalidInput as error:
            raise CommandError(error.message) from None
        self.stderr.write(f"The key “{key.name}” may {', '.join(key.scopes)}. Keep it safe: it is shown only now.")
        self.stdout.write(token)
