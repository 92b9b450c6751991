"""The demo shop: its tables, and the configuration that a person would click together. `manage.py demo` calls it.

Everything goes through the product's own functions; nothing here writes a table of the product. Each function may be
called again on the same data: a second start goes on where the first one ended.
"""

from __future__ import annotations

from collections.abc import Callable

from django.core.management.base import CommandError

from core.lib.errors import InvalidInput
from grouparoo.demo import summary
from grouparoo.demo.configuration import configure, refuse_other_use
from grouparoo.demo.databases import Names, make_databases
from grouparoo.demo.flow import Flow, look, start
from grouparoo.demo.mailchimp import Place, run_mailchimp
from grouparoo.demo.people import ensure_login

__all__ = ["Flow", "Place", "load", "look", "run_mailchimp", "start", "summarize"]

NAMES = Names()


def load(mailchimp: Place, *, write: Callable[[str], None]) -> None:
    """Make the shop's database and the configuration, where they are missing. No worker runs yet."""
    try:
        refuse_other_use(NAMES)
        make_databases(NAMES, write=write)
        configure(NAMES, mailchimp, write=write)
        ensure_login()
    except InvalidInput as error:
        raise CommandError(error.message) from error


def summarize(mailchimp: Place) -> list[str]:
    """The lines that say what happened, and with which email and password to sign in."""
    return summary.summarize(NAMES, mailchimp)
