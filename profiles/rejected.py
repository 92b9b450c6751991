"""The one error of value types. Raised by `profiles.types` and `profiles.dates`, caught by whoever parses values."""

from __future__ import annotations


class Rejected(Exception):
    """The value does not fit its type. `reason` is a short phrase for people, such as "not an email address"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
