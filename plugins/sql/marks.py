"""High-water marks as text: written and read exactly, moved back for the lookback, and read as times.

The text keeps the kind of the value, so that it is bound again as what it was: numbers as they are, dates and times
in ISO 8601, all other text as a JSON string.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

DAY = 86_400.0

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME_TEXT = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?P<sep>[T ])(?P<clock>\d\d:\d\d(:\d\d)?)(?P<fraction>[.,]\d+)?"
    r"(?P<zone>Z|[+-]\d\d(:?\d\d)?)?"
)
_LEAST_EPOCH = 100_000_000  # 1973; smaller integers are counters, not seconds since 1970
_MILLISECONDS = 100_000_000_000  # integers from here on are milliseconds


def write_mark(value: Any) -> str:
    """The text of a changed or id value, from which `read_mark` makes an equal value of the same kind."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int | float | Decimal):
        return repr(value) if isinstance(value, float) else str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return json.dumps(value if isinstance(value, str) else str(value), ensure_ascii=False)


def read_mark(text: str) -> Any:
    """The value that `write_mark` wrote. Plain text that it did not write is read as text."""
    if text.startswith('"'):
        return json.loads(text)
    if _NUMBER.fullmatch(text):
        return int(text) if text.lstrip("-").isdigit() else Decimal(text)
    if _DATE.fullmatch(text):
        return date.fromisoformat(text)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text


def rewind_value(value: Any, lookback: float) -> Any:
    """The value `lookback` seconds earlier; at least a day for dates without a time; counters stay as they are."""
    if isinstance(value, datetime):
        return _earlier(value, timedelta(seconds=lookback))
    if isinstance(value, date):
        return _earlier_day(value, lookback)
    if isinstance(value, int | Decimal):
        if value >= _MILLISECONDS:
            return value - int(lookback * 1000)
        return value - int(lookback) if value >= _LEAST_EPOCH else value
    if isinstance(value, str):
        return _rewind_text(value, lookback)
    return value


def just_before(value: Any) -> Any:
    """A value that any useful `>` lets the value itself pass, so that ties at a mark are not lost."""
    if isinstance(value, datetime):
        return _earlier(value, timedelta(microseconds=1))
    if isinstance(value, date):
        return _earlier_day(value, DAY)
    if isinstance(value, int):
        return value - 1
    if isinstance(value, Decimal):
        return Decimal(repr(math.nextafter(float(value), -math.inf)))
    return _rewind_text(value, 1.0) if isinstance(value, str) else value


def as_time(value: Any) -> datetime | None:
    """A changed value as an aware time; None when it is not one (a counter, other text). Naive means UTC."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    if isinstance(value, bool):
        return None
    try:
        if isinstance(value, int | float | Decimal) and value >= _LEAST_EPOCH:
            return datetime.fromtimestamp(float(value) / (1000 if value >= _MILLISECONDS else 1), UTC)
        if isinstance(value, str):
            return as_time(datetime.fromisoformat(value.strip()))
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _earlier(value: datetime, by: timedelta) -> datetime:
    try:
        return value - by
    except OverflowError:
        return value


def _earlier_day(value: date, lookback: float) -> date:
    try:
        return value - timedelta(days=max(1, math.ceil(lookback / DAY)))
    except OverflowError:
        return value


def _rewind_text(text: str, lookback: float) -> str:
    """An ISO time kept as text, earlier and in the same form, so that comparing as text still works."""
    if _DATE.fullmatch(text):
        return _earlier_day(date.fromisoformat(text), lookback).isoformat()
    match = _TIME_TEXT.fullmatch(text)
    if not match:
        return text
    try:
        moved = _earlier(datetime.fromisoformat(text.replace(",", ".")), timedelta(seconds=lookback))
    except ValueError:
        return text
    digits = len(match["fraction"] or ".") - 1
    clock = moved.strftime("%H:%M:%S" if match["clock"].count(":") == 2 else "%H:%M")
    fraction = match["fraction"][0] + f"{moved.microsecond:06d}".ljust(digits, "0")[:digits] if digits else ""
    return f"{moved:%Y-%m-%d}{match['sep']}{clock}{fraction}{match['zone'] or ''}"
