"""What two states of one person at a destination have apart, field by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Difference:
    """One field, or the groups (an empty `field`): what is held before and after; None is nothing."""

    field: str
    before: Any
    after: Any


def find_differences(
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    groups_before: Sequence[str],
    groups_after: Sequence[str],
) -> list[Difference]:
    """Every field with another value, in the order of `after`, then the groups; empty when nothing differs."""
    old, new = before or {}, after or {}
    found = [
        Difference(name, old.get(name), new.get(name))
        for name in dict.fromkeys([*new, *old])
        if old.get(name) != new.get(name)
    ]
    if list(groups_before) != list(groups_after):
        found.append(Difference("", list(groups_before), list(groups_after)))
    return found
