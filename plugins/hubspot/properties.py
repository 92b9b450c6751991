"""The properties of contacts: what they are, and how a payload's values are written into them and read back.

HubSpot takes and gives every value as text. Empty text clears.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from plugins.contracts import Reject

KEY_FIELD = "email"

_VALUE_TYPES = {
    "number": "float",
    "bool": "boolean",
    "date": "date",
    "datetime": "date",
}
_SHOWN_OPTIONS = 8


@dataclass(frozen=True, slots=True)
class Property:
    """One property of contacts. `options` are what an enumeration may hold, by value, with their labels."""

    name: str
    type: str = "string"
    field_type: str = "text"
    is_read_only: bool = False
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def value_type(self) -> str:
        """The product's value type that is nearest."""
        if self.name == KEY_FIELD:
            return "email"
        return _VALUE_TYPES.get(self.type, "string")


def read_properties(answer: Mapping[str, Any]) -> dict[str, Property]:
    """The properties of HubSpot's answer by name, in the order in which it gives them."""
    return {
        str(found["name"]): Property(
            name=str(found["name"]),
            type=str(found.get("type") or "string"),
            field_type=str(found.get("fieldType") or "text"),
            is_read_only=bool(
                found.get("calculated") or (found.get("modificationMetadata") or {}).get("readOnlyValue")
            ),
            options={str(option["value"]): str(option.get("label") or "") for option in found.get("options") or ()},
        )
        for found in answer.get("results") or ()
        if not found.get("archived")
    }


def write_value(property_: Property, value: Any) -> str:
    """A payload's value as HubSpot takes it. Raises `Reject`."""
    if value is None or value == "":
        return ""
    if property_.type == "enumeration":
        return ";".join(_choose(property_, each) for each in (value if isinstance(value, list) else [value]))
    if isinstance(value, list):
        value = ", ".join(_text(each) for each in value)
    if property_.type == "number":
        return str(int(value)) if isinstance(value, bool) else _text(value)
    if property_.type == "date":
        return f"{_moment(property_, value):%Y-%m-%d}"
    if property_.type == "datetime":
        return _moment(property_, value).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return _text(value)


def read_value(value: Any, value_type: str) -> Any:
    """What a property holds, as a payload would hold it."""
    if value is None or value == "":
        return None
    if value_type == "boolean":
        return str(value).lower() == "true"
    if value_type in ("integer", "float"):
        return _number(value, value_type)
    if value_type == "date":
        return _date(str(value))
    return value


def _choose(property_: Property, value: Any) -> str:
    """The option that a value means: by its own value, else by value or label without regard to case."""
    text = _text(value)
    if text in property_.options or not property_.options:  # owners and the like are listed elsewhere
        return text
    for option, label in property_.options.items():
        if text.casefold() in (option.casefold(), label.casefold()):
            return option
    known = list(property_.options)[:_SHOWN_OPTIONS]
    more = ", …" if len(property_.options) > _SHOWN_OPTIONS else ""
    raise Reject(f"The property {property_.name} has no option “{_short(text)}”; it has {', '.join(known)}{more}.")


def _number(value: Any, value_type: str) -> Any:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return value
    return int(number) if value_type == "integer" and number.is_integer() else number


def _date(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _moment(property_: Property, value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise Reject(f"The property {property_.name} takes a date, not “{_short(_text(value))}”.") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"
