"""Numbers, times and values as people read them. Pure functions; the template tags are thin doors to these."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.utils import dateformat, timezone
from django.utils.translation import gettext, gettext_lazy, ngettext

from core.ui import number_formats

NBSP = "\u00a0"
MINUS = "\u2212"
_WORDS = (
    gettext_lazy("No"),
    gettext_lazy("One"),
    gettext_lazy("Two"),
    gettext_lazy("Three"),
    gettext_lazy("Four"),
    gettext_lazy("Five"),
    gettext_lazy("Six"),
    gettext_lazy("Seven"),
    gettext_lazy("Eight"),
    gettext_lazy("Nine"),
    gettext_lazy("Ten"),
    gettext_lazy("Eleven"),
    gettext_lazy("Twelve"),
)
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
    return str(_WORDS[count]) if count < len(_WORDS) else number(count)


def plural(count: int, one: str, many: str = "") -> str:
    """1, "run" -> "1 run"; 2, "run" -> "2 runs"."""
    return f"{number(count)}{NBSP}{one if count == 1 else many or one + 's'}"


def counted(text: str, count: int, **others: object) -> str:
    """An ngettext of "%(count)s run failed" with its number: "1 run failed", the number on one line with its noun."""
    return text.replace("%(count)s ", f"%(count)s{NBSP}") % {"count": number(count), **others}


def people(count: int) -> str:
    """2 -> "2 people"."""
    return counted(ngettext("%(count)s person", "%(count)s people", count), count)


def month_day(day: date) -> str:
    """ "8 Jan"."""
    return dateformat.format(day, gettext("j M")).replace(" ", NBSP)


def long_day(day: date) -> str:
    """ "8 January"."""
    return dateformat.format(day, gettext("j F"))


def duration(seconds: float) -> str:
    """84 -> "1 min 24 s": at most two units, no-break spaces within each."""
    left = max(0, round(seconds))
    parts = []
    for size, unit in ((_DAY, gettext("d")), (_HOUR, gettext("h")), (_MINUTE, gettext("min")), (1, gettext("s"))):
        if left >= size:
            parts.append(f"{left // size}{NBSP}{unit}")
            left %= size
    return " ".join(parts[:2]) or f"0{NBSP}{gettext('s')}"


def pace(rate: float, many: str) -> str:
    """10.94, "rows" -> "10.9 rows a second"; from a hundred on without a fraction."""
    figure = number(round(rate, 1) if rate < 100 else round(rate))
    return gettext("%(amount)s a second") % {"amount": f"{figure}{NBSP}{many}"}


def relative(at: datetime, *, now: datetime | None = None) -> str:
    """How long ago or how soon: "12 s ago", "in 8 min", "yesterday", "14 Nov", "14 Nov 2018"."""
    now = now or timezone.now()
    seconds = (now - at).total_seconds()
    local, today = timezone.localtime(at), timezone.localtime(now)
    days = (today.date() - local.date()).days
    if abs(seconds) < 1:
        return gettext("now")
    if abs(seconds) < 12 * _HOUR or days == 0:
        size = next((size for size in (_HOUR, _MINUTE) if abs(seconds) >= size), 1)
        unit = {_HOUR: gettext("h"), _MINUTE: gettext("min"), 1: gettext("s")}[size]
        amount = f"{int(abs(seconds) // size)}{NBSP}{unit}"
        text = gettext("%(amount)s ago") if seconds > 0 else gettext("in %(amount)s")
        return text % {"amount": amount}
    if days in (1, -1):
        return gettext("yesterday") if days == 1 else gettext("tomorrow, %(time)s") % {"time": f"{local:%H:%M}"}
    return short_day(local, today=today)


def short_day(local: datetime, *, today: datetime | None = None) -> str:
    """ "14 Nov", with the year when it is not this one."""
    today = today or timezone.localtime()
    return month_day(local) if local.year == today.year else f"{month_day(local)} {local.year}"


def day_in_words(day: date) -> str:
    """ "Today", "Yesterday", "Wednesday, 2 January", with the year when it is not this one."""
    today = timezone.localdate()
    if day == today:
        return gettext("Today")
    if day == today - timedelta(days=1):
        return gettext("Yesterday, %(day)s") % {"day": long_day(day)}
    return dateformat.format(day, gettext("l, j F") if day.year == today.year else gettext("j F Y"))


def full_time(at: datetime) -> str:
    """ "8 January 2019, 14:32:04 New York", in the viewer's time zone."""
    local = timezone.localtime(at)
    return f"{dateformat.format(local, gettext('j F Y'))}, {local:%H:%M:%S} {zone_name()}"


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
        return gettext("Yes") if value else gettext("No")
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
        return f"{month_day(utc)} {utc.year}"
    local = timezone.localtime(at)
    return f"{month_day(local)} {local:%Y, %H:%M}"


def time_left(done: int, total: int | None, seconds: float) -> float | None:
    """Seconds until `total` at the pace so far; None while that would be a guess."""
    if not total or done <= 0 or seconds < 1:
        return None
    return max(0.0, (total - done) * seconds / done)


def since(at: datetime, now: datetime) -> float:
    """Seconds from one time to another, never below zero."""
    return max(0.0, (now - at) / timedelta(seconds=1))
