"""The merge fields of an audience: what they are, and how a payload's values are written into them and read back."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from plugins.contracts import Reject

_VALUE_TYPES = {
    "number": "float",
    "date": "date",
    "birthday": "date",
    "phone": "phone_number",
    "url": "url",
    "imageurl": "url",
}
_ADDRESS = ("addr1", "city", "state", "zip")
_ADDRESS_FORM = "write it as “street, city, state, postcode, country”"
_US_PHONE = re.compile(r"\+1([0-9]{3})([0-9]{3})([0-9]{4})").fullmatch


@dataclass(frozen=True, slots=True)
class MergeField:
    """One merge field: its tag (capitals, at most ten), Mailchimp's type, and its format where it has one."""

    tag: str
    type: str = "text"
    phone_format: str = ""

    @property
    def value_type(self) -> str:
        """The product's value type that is nearest to what it takes."""
        return _VALUE_TYPES.get(self.type, "string")

    @property
    def source_type(self) -> str:
        """The product's value type that is nearest to what it gives: a birthday has no year, so it is no date."""
        return "string" if self.type == "birthday" else self.value_type


def read_merge_fields(answer: Mapping[str, Any]) -> tuple[MergeField, ...]:
    """The merge fields of Mailchimp's answer, in the order in which it shows them."""
    found = sorted(answer.get("merge_fields") or (), key=lambda field: field.get("display_order") or 0)
    return tuple(
        MergeField(
            tag=str(field["tag"]),
            type=str(field.get("type") or "text"),
            phone_format=str((field.get("options") or {}).get("phone_format") or ""),
        )
        for field in found
    )


def write_value(field: MergeField, value: Any) -> Any:
    """A payload's value as Mailchimp takes it: text, number or an address; empty text clears. Raises `Reject`."""
    if value is None or value == "":
        return ""
    if isinstance(value, list):
        value = ", ".join(_text(each) for each in value)
    if field.type == "number":
        return int(value) if isinstance(value, bool) else value
    if field.type == "date":
        return f"{_moment(field, value):%Y-%m-%d}"
    if field.type == "birthday":
        return f"{_moment(field, value):%m/%d}"
    if field.type == "zip":
        text = _text(value)
        return text.zfill(5) if text.isdecimal() else text
    if field.type == "phone" and field.phone_format == "US" and (found := _US_PHONE(str(value))):
        return "-".join(found.groups())
    if field.type == "address":
        return _address(field, value)
    return _text(value)


def read_value(value: Any, value_type: str) -> Any:
    """What a merge field holds, as a payload would hold it."""
    if value is None or value == "":
        return None
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    if value_type == "boolean":
        return str(value).lower() in ("true", "1")
    if value_type in ("integer", "float"):
        return _number(value, value_type)
    if value_type == "date" and re.fullmatch(r"\d{4}-\d\d-\d\d", str(value)):
        return f"{value}T00:00:00.000000Z"
    return value


def _number(value: Any, value_type: str) -> Any:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return value
    return int(number) if value_type == "integer" and number.is_integer() else number


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def _moment(field: MergeField, value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise Reject(f"The merge field {field.tag} takes a date, not “{_short(value)}”.") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment


def _address(field: MergeField, value: Any) -> dict[str, Any]:
    """An address from a JSON object with Mailchimp's own keys, or from four to six parts with commas between."""
    given: Any = value
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            given = json.loads(value)
        except ValueError:
            raise Reject(f"The merge field {field.tag} takes an address: {_ADDRESS_FORM}.") from None
    if isinstance(given, dict):
        return given
    parts = [part.strip() for part in str(value).split(",")]
    if not 4 <= len(parts) <= 6:
        raise Reject(f"The merge field {field.tag} takes an address, not “{_short(value)}”: {_ADDRESS_FORM}.")
    address = dict(zip(_ADDRESS, (parts[0], *parts[-4:-1]) if len(parts) > 4 else parts, strict=True))
    if len(parts) > 4:
        address["country"] = parts[-1]
    if len(parts) == 6:
        address["addr2"] = parts[1]
    return address


def _short(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
