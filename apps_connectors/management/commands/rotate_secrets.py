"""Encrypts every secret with the newest key: `python manage.py rotate_secrets`.

Put the new key first in GROUPAROO_SECRET_KEYS, run this, then take the old one out.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps_connectors.apps_store import rotate_secrets
from core.accounts.actors import SYSTEM
from core.lib.secrets import UnreadableSecrets


class Command(BaseCommand):
    """Changes nothing when one of the secrets cannot be read."""

    help = "Encrypts all secrets with the first of GROUPAROO_SECRET_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        """Rotate and say how many."""
        try:
            count = rotate_secrets(actor=SYSTEM)
        except UnreadableSecrets as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"The secrets of {count} App{'' if count == 1 else 's'} are encrypted with the newest key.")
