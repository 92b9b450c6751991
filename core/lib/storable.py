"""Which JSON values can be stored. Doors ask before they accept an item; the answer is a phrase for people."""

from __future__ import annotations

import math
from typing import Any

DEEPEST = 50  # levels of lists and objects
TOO_LARGE_A_NUMBER = math.inf  # what a reader puts in place of a number it cannot hold

_LEAST, _MOST = -(2**63), 2**63 - 1


def find_problem(value: Any) -> str | None:
    """Why `value`, as read from JSON, cannot be stored: "holds a number beyond 64 bits"; None when it can.

    Walks without recursion, so that depth is an answer rather than a crash.
    """
    level: list[Any] = [value]
    for _ in range(DEEPEST + 1):
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is str:
                if problem := find_problem_in_text(item):
                    return problem
            elif kind is dict:
                below.extend(item)
                below.extend(item.values())
            elif kind is list:
                below.extend(item)
            elif kind is int:
                if not _LEAST <= item <= _MOST:
                    return "holds a number beyond 64 bits"
            elif kind is float and not math.isfinite(item):
                return "holds a number beyond range, NaN or Infinity"
        if not below:
            return None
        level = below
    return f"is nested more than {DEEPEST} levels deep"


def find_problem_in_text(text: str) -> str | None:
    """Why PostgreSQL cannot hold `text`; None when it can."""
    if text.isascii():
        return "holds the character U+0000, which cannot be stored" if "\0" in text else None
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds half of a character (a lone surrogate)"
    return "holds the character U+0000, which cannot be stored" if "\0" in text else None
