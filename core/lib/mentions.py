"""How a person is named in texts that are kept for other reasons, such as the examples of an error. Pure.

An address or another telling value is found anywhere in a text; a short one, which may be a word or a number of
something else, only as a whole JSON text, or under the key of its property.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

_TELLING = 12  # characters from which on a value is hardly anything else


@dataclass(frozen=True)
class Mentions:
    """What names one person: their profiles, and the values of their unique properties by key."""

    profiles: tuple[UUID, ...]
    identities: tuple[tuple[str, str], ...]  # (property key, value)

    @cached_property
    def patterns(self) -> list[str]:
        """Patterns of LIKE for texts, whatever the case."""
        values = {value for _, value in self.identities}
        found = {_inside(value) if _is_telling(value) else _whole(value) for value in values if not value.isdigit()}
        return sorted(found | {f"%{guid}%" for guid in self.profiles})

    @cached_property
    def values(self) -> list[str]:
        """Lower-case values, for comparing whole ones."""
        return sorted({value.lower() for _, value in self.identities} | {str(guid) for guid in self.profiles})

    def parameters(self) -> dict[str, Any]:
        """For SQL: patterns, values, and the identities as two arrays."""
        return {
            "patterns": self.patterns,
            "values": self.values,
            "keys": [key for key, _ in self.identities],
            "keyed": [value.lower() for _, value in self.identities],
        }

    def are_in(self, text: str) -> bool:
        """Whether a text that someone typed names them."""
        lower = text.lower()
        words = set(lower.split())
        return any(value in (lower if _is_telling(value) else words) for value in self.values)


def telling_values(values: Collection[str]) -> list[str]:
    """Those that mean one person wherever they stand."""
    return [value for value in values if _is_telling(value)]


def _is_telling(value: str) -> bool:
    return "@" in value or (len(value) >= _TELLING and not value.isdigit()) or value.startswith("+")


def _inside(value: str) -> str:
    return f"%{_escaped(json.dumps(value, ensure_ascii=False)[1:-1])}%"


def _whole(value: str) -> str:
    return f"%{_escaped(json.dumps(value, ensure_ascii=False))}%"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
