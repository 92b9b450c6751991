"""Makes an account: `python manage.py createuser --email alice@example.com --role admin`."""

from __future__ import annotations

import os
from getpass import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.accounts.actors import SYSTEM
from core.accounts.models import Role
from core.accounts.people import create_user
from core.lib.errors import InvalidInput

PASSWORD_VARIABLE = "GROUPAROO_USER_PASSWORD"  # noqa: S105  a variable's name


class Command(BaseCommand):
    """Asks for the password, or takes it from the environment, never from the command line."""

    help = f"Makes an account. The password is asked for, or taken from {PASSWORD_VARIABLE}."

    def add_arguments(self, parser: CommandParser) -> None:
        """Who, and what they may do."""
        parser.add_argument("--email", required=True)
        parser.add_argument("--role", required=True, choices=Role.values)
        parser.add_argument("--name", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the account and say so."""
        password = os.environ.get(PASSWORD_VARIABLE) or _ask_password()
        try:
            user = create_user(
                options["email"], name=options["name"], password=password, role=options["role"], actor=SYSTEM
            )
        except InvalidInput as error:
            raise CommandError(error.message) from None
        self.stdout.write(f"{user.email} can sign in as {user.get_role_display().lower()}.")


def _ask_password() -> str:
    password = getpass("Password: ")
    if password != getpass("The same again: "):
        raise CommandError("The two passwords are not the same.")
    return password
