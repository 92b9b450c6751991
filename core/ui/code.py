"""JSON as people read it: indented, its parts marked for colours, one part perhaps marked as added."""

from __future__ import annotations

import json
import re
from typing import Any

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

_PARTS = re.compile(
    r'(?P<k>"(?:[^"\\]|\\.)*"(?=:))|(?P<s>"(?:[^"\\]|\\.)*")|(?P<n>-?\d[\d.eE+-]*|true|false|null)|(?P<p>[{}\[\],:]+)'
)


def mark_json(value: Any, *, added: str = "") -> SafeString:
    """HTML of a JSON value. The value of the key `added`, when it stands at the top, is marked as added."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    lines = [_PARTS.sub(_mark, line) for line in text.split("\n")]
    if added and isinstance(value, dict) and added in value:
        start = _line_of(text, added)
        length = len(json.dumps(value[added], indent=2, ensure_ascii=False, default=str).split("\n"))
        # the marked part is a block of its own, so the line breaks around it would double
        block = "\n".join(lines[start : start + length])
        head, tail = "\n".join(lines[:start]), "\n".join(lines[start + length :])
        return mark_safe(f'{head}\n<span class="added">{block}\n</span>{tail}')  # noqa: S308  parts are escaped
    return mark_safe("\n".join(lines))  # noqa: S308  every part is escaped


def _line_of(text: str, key: str) -> int:
    wanted = f"  {json.dumps(key, ensure_ascii=False)}:"
    return next(index for index, line in enumerate(text.split("\n")) if line.startswith(wanted))


def _mark(found: re.Match[str]) -> str:
    return f'<span class="{found.lastgroup}">{escape(found.group())}</span>'
