"""The key table: the profiles' values as a database takes them, one column per property and type.

A value that cannot be of the column's type (a text where the source holds numbers) becomes NULL: it matches nothing,
and does not make the statement of its whole batch fail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

Convert = Callable[[Any], Any]

_INTEGER = re.compile(r"[+-]?\d{1,19}")
_LEAST, _GREATEST = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class KeyType:
    """A column type of the key table: its SQL, and what makes a property's value one of its own (or None)."""

    sql: str
    convert: Convert


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """One column of the key table, `name`, filled from the property `key`."""

    name: str
    key: str
    type: KeyType

    def values(self, profiles: Sequence[Mapping[str, Any]]) -> list[Any]:
        """The column's values, in the order of the profiles."""
        convert, key = self.type.convert, self.key
        return [None if value is None else convert(value) for value in [profile.get(key) for profile in profiles]]


def to_integer(value: Any) -> int | None:
    """A 64-bit integer."""
    if isinstance(value, str):
        if not _INTEGER.fullmatch(value.strip()):
            return None
    elif isinstance(value, float | Decimal) and value != value // 1:
        return None
    number = int(value)
    return number if _LEAST <= number <= _GREATEST else None


def to_number(value: Any) -> str | None:
    """A finite number, as text."""
    try:
        number = Decimal(int(value) if isinstance(value, bool) else str(value).strip())
    except InvalidOperation:
        return None
    return str(number) if number.is_finite() else None


def to_text(value: Any) -> str | None:
    """Text without NUL, which no database can hold."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    text = str(value)
    return None if "\x00" in text else text


def to_boolean(value: Any) -> bool | None:
    """True or False; text as the value types write it."""
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return bool(value)


def to_time(value: Any) -> str | None:
    """A time in UTC, as ISO 8601 text with a space and without offset."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return None
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(sep=" ")


def to_uuid(value: Any) -> str | None:
    """A UUID, as text."""
    try:
        return str(UUID(str(value)))
    except ValueError:
        return None
