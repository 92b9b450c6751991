"""Numbers, times and values as people read them. Pure functions; the template tags are thin doors to these."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.utils import timezone

from core.ui import number_formats

NBSP = "\u00a0"
MINUS = "\u2212"
_WORDS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def rounded(value: int) -> int:
    """To two significant digits."""
    step: int = 10 ** max(0, len(str(value)) - 2)
    return round(value / step) * step


def number(value: float | None) -> str:
    """12486 -> "12,486"; a true minus sign; at most two decimals; the viewer's marks."""
    if value is None:
        return ""
    if isinstance(value, float) and not value.is_integer():
        text = f"{abs(value):,.2f}".rstrip("0").rstrip(".") if abs(value) < 10 else f"{abs(value):,.1f}"
    else:
        text = f"{abs(int(value)):,}"
    return number_formats.marked(f"{MINUS}{text}" if value < 0 and text.strip("0.,") else text)


def decimals(value: float, digits: int) -> str:
    """12486.75 with one digit -> "12486.8", with the viewer's marks."""
    return number_formats.marked(f"{value:.{digits}f}")


def signed(value: int) -> str:
    """312 -> "+312", -5 -> "−5", 0 -> "0"."""
    return f"+{number(value)}" if value > 0 else number(value)


def percent(part: float, whole: float, *, digits: int = 0) -> str:
    """24 of 100 -> "24 %", with a no-break space. "0 %" of nothing."""
    share = 100 * part / whole if whole else 0.0
    return f"{decimals(share, digits)}{NBSP}%"


def in_words(count: int) -> str:
    """3 -> "Three"; beyond twelve the figure."""
    return _WORDS[count] if count < len(_WORDS) else number(count)


def plural(count: int, one: str, many: str = "") -> str:
    """1, "run" -> "1 run"; 2, "run" -> "2 runs"."""
    return f"{number(count)}{NBSP}{one if count == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """84 -> "1 min 24 s": at most two units, no-break spaces within each."""
    left = max(0, round(seconds))
    parts = []
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (1, "s")):
        if left >= size:
            parts.append(f"{left // size}{NBSP}{unit}")
            left %= size
    return " ".join(parts[:2]) or f"0{NBSP}s"


def pace(rate: float, many: str) -> str:
    """10.94, "rows" -> "10.9 rows a second"; from a hundred on without a fraction."""
    return f"{number(round(rate, 1) if rate < 100 else round(rate))}{NBSP}{many} a second"


def relative(at: datetime, *, now: datetime | None = None) -> str:
    """How long ago or how soon: "12 s ago", "in 8 min", "yesterday", "14 Nov", "14 Nov 2018"."""
    now = now or timezone.now()
    seconds = (now - at).total_seconds()
    local, today = timezone.localtime(at), timezone.localtime(now)
    days = (today.date() - local.date()).days
    if abs(seconds) < 1:
        return "now"
    if abs(seconds) < 12 * _HOUR or days == 0:
        size = next((size for size in (_HOUR, _MINUTE) if abs(seconds) >= size), 1)
        unit = {_HOUR: "h", _MINUTE: "min", 1: "s"}[size]
        amount = f"{int(abs(seconds) // size)}{NBSP}{unit}"
        return f"{amount} ago" if seconds > 0 else f"in {amount}"
    if days in (1, -1):
        return "yesterday" if days == 1 else f"tomorrow, {local:%H:%M}"
    return short_day(local, today=today)


def short_day(local: datetime, *, today: datetime | None = None) -> str:
    """ "14 Nov", with the year when it is not this one."""
    today = today or timezone.localtime()
    year = "" if local.year == today.year else f" {local.year}"
    return f"{local.day}{NBSP}{local:%b}{year}"


def day_in_words(day: date) -> str:
    """ "Today", "Yesterday", "Wednesday, 2 January", with the year when it is not this one."""
    today = timezone.localdate()
    if day == today:
        return "Today"
    if day == today - timedelta(days=1):
        return f"Yesterday, {day.day} {day:%B}"
    return f"{day:%A}, {day.day} {day:%B}" if day.year == today.year else f"{day.day} {day:%B %Y}"


def full_time(at: datetime) -> str:
    """ "8 January 2019, 14:32:04 New York", in the viewer's time zone."""
    local = timezone.localtime(at)
    return f"{local.day} {local:%B %Y, %H:%M:%S} {zone_name()}"


def zone_name() -> str:
    """The city of the viewer's time zone, or UTC."""
    return city_of(timezone.get_current_timezone_name())


def city_of(zone: str) -> str:
    """ "America/New_York" -> "New York"."""
    return zone.rsplit("/", 1)[-1].replace("_", " ")


def cell(value: Any) -> str:
    """A value of a tool's table as one line; lists and objects as JSON."""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value).lower() if isinstance(value, bool) else str(value)


def value_text(value: Any, type_name: str, *, is_identity: bool = False) -> str:
    """A property's value for people. Identities are shown as they are: 8114 is a name, not an amount."""
    if isinstance(value, list):
        return ", ".join(value_text(item, type_name) for item in value)
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if type_name == "date" and isinstance(value, str):
        return _date_text(value)
    if type_name == "float" and isinstance(value, int | float):
        return f"{MINUS if value < 0 else ''}{abs(value):,.2f}"
    if type_name == "integer" and isinstance(value, int) and not is_identity:
        return number(value)
    return str(value)


def _date_text(value: str) -> str:
    """A stored date. Midnight in UTC is a date without a time: its day is the same in every zone."""
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return value
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    utc = at.astimezone(UTC)
    if (utc.hour, utc.minute, utc.second, utc.microsecond) == (0, 0, 0, 0):
        return f"{utc.day}{NBSP}{utc:%b %Y}"
    local = timezone.localtime(at)
    return f"{local.day}{NBSP}{local:%b %Y, %H:%M}"


def time_left(done: int, total: int | None, seconds: float) -> float | None:
    """Seconds until `total` at the pace so far; None while that would be a guess."""
    if not total or done <= 0 or seconds < 1:
        return None
    return max(0.0, (total - done) * seconds / done)


def since(at: datetime, now: datetime) -> float:
    """Seconds from one time to another, never below zero."""
    return max(0.0, (now - at) / timedelta(seconds=1))
