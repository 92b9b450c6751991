"""Erases whom a restored backup brought back: `python manage.py erase_again`.

Put the tables `suppression` and `suppression_key` of the time after the backup in place first, see docs/operations.md.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from core.accounts.actors import SYSTEM
from core.ui.wording import plural
from schedules.erasing import erasures


class Command(BaseCommand):
    """Asks for the erasures; workers do them."""

    help = "Erases again everyone whose identities are refused and who is here all the same."

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask and say how many."""
        made = erasures.erase_returned(actor=SYSTEM)
        self.stdout.write(f"{plural(len(made), 'person is', 'people are')} being erased again.")
