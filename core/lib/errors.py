"""Errors that a person can mend, raised by any part of the product and shown by its doors.

    ProductError
    ├── InvalidInput   what was given cannot be used (400); `fields` says which part and why
    ├── Refused        it can be understood but may not be done now (409), such as deleting what is in use
    └── NotFound       there is no such thing (404)

The text is one or two sentences for a person and says what to do. The API turns these into its one error shape, pages
show them beside the form, commands print them.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.functional import Promise


class ProductError(Exception):
    """It could not be done."""

    def __init__(self, message: str | Promise = "", fields: Mapping[str, str | Promise] | None = None) -> None:
        self.message = str(message) or (type(self).__doc__ or "").split("\n")[0]
        self.fields: dict[str, str] = {name: str(problem) for name, problem in (fields or {}).items()}
        super().__init__(self.message)


class InvalidInput(ProductError):
    """Some of what was given cannot be used."""


class Refused(ProductError):
    """That cannot be done as things stand."""


class NotFound(ProductError):
    """There is no such thing."""
