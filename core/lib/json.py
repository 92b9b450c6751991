"""JSON text of values that come from anywhere, for storing in PostgreSQL."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

# U+0000 inside a JSON string: the escape itself, not an escaped backslash followed by "u0000".
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class NotStorable(ValueError):
    """PostgreSQL cannot hold this value; the text says why."""


def dumps(value: Any) -> str:
    """Compact JSON that a jsonb column takes; raises NotStorable with the reason."""
    try:
        text = orjson.dumps(value, default=str).decode()
    except TypeError:  # an integer beyond 64 bits, a lone surrogate, nesting: the slow way knows which
        text = _dumps_slowly(value)
    if "\\u0000" in text and _NUL.search(text):
        raise NotStorable("holds the character U+0000, which PostgreSQL cannot store")
    return text


loads = orjson.loads  # the value of a JSON text


def _dumps_slowly(value: Any) -> str:
    try:
        text = json.dumps(value, default=str, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except UnicodeEncodeError:
        raise NotStorable("holds half of a character (a lone surrogate)") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise NotStorable(f"is not JSON: {error}") from None
    return text
