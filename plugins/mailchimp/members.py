"""The members of an audience as rows: their columns and their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from plugins.contracts import Column
from plugins.mailchimp.changes import KEY_FIELD
from plugins.mailchimp.merge_fields import MergeField, read_value

CHANGED_COLUMN = "last_changed"

_OWN = (
    Column(KEY_FIELD, "email"),
    Column("status", "string", "subscribed, unsubscribed, cleaned, pending, transactional, archived"),
    Column("unsubscribe_reason"),
    Column(CHANGED_COLUMN, "date"),
    Column("timestamp_opt", "date"),
    Column("member_rating", "integer"),
    Column("vip", "boolean"),
    Column("tags", "string", "a list of texts"),
)
_TIMES = (CHANGED_COLUMN, "timestamp_opt")
MEMBER_FIELDS = ("id", *(column.name for column in _OWN), "tags_count", "merge_fields")


def columns_of(merge_fields: Sequence[MergeField]) -> tuple[Column, ...]:
    """The columns of an audience's members: Mailchimp's own, then the merge fields."""
    return (*_OWN, *(Column(field.tag, field.source_type, field.type) for field in merge_fields))


def row_of(member: Mapping[str, Any], merge_fields: Sequence[MergeField]) -> dict[str, Any]:
    """A member's values by column; what is empty at Mailchimp is None."""
    values = {column.name: member.get(column.name) or None for column in _OWN}
    values |= {name: read_time(str(member.get(name) or "")) for name in _TIMES}
    values["vip"] = bool(member.get("vip"))
    values["tags"] = [str(tag["name"]) for tag in member.get("tags") or ()]
    held = member.get("merge_fields") or {}
    return values | {field.tag: read_value(held.get(field.tag), field.source_type) for field in merge_fields}


def read_time(text: str) -> datetime | None:
    """A time of Mailchimp's, which is in whole seconds; None for none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.replace(microsecond=0) if found.tzinfo else found.replace(microsecond=0, tzinfo=UTC)
