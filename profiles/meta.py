"""What is known of a property value besides itself, in a short array by key on the profile row.

`[as_of, cause, created, updated, rejected, reason]`, times in microseconds since 1970. What equals the default is null,
nulls at the end are cut, and an entry that is all default is left out:

- as_of     default: the profile's hydrated_at, for rules that are asked; otherwise the key was never set
- cause     "event:UUID" or "person:ID"; default: the rule's own retrieval
- created   default: the profile's created_at
- updated   default: the profile's created_at
- rejected  the text that did not fit, with the reason; the value is then null
"""

from __future__ import annotations

from typing import Any

AS_OF, CAUSE, CREATED, UPDATED, REJECTED, REASON = range(6)
SIZE = 6

Entry = list[Any]


def get(entry: Entry | None, place: int) -> Any:
    """The value at one place of an entry that may be short or missing."""
    return entry[place] if entry is not None and len(entry) > place else None


def trim(entry: Entry) -> Entry:
    """The entry without nulls at its end; empty when all is default."""
    end = len(entry)
    while end and entry[end - 1] is None:
        end -= 1
    return entry[:end]
