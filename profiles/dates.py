"""Reads points in time from what sources and people write. Only `profiles.types` calls it.

Everything becomes UTC text of one fixed width, `YYYY-MM-DDTHH:MM:SS.ffffffZ`, so that text order is time order. Text
without an offset means UTC. A missing part (a day, a year) is never filled in: such text is rejected.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache

from dateutil import parser as dateutil_parser

from profiles.rejected import Rejected

_STORED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII).fullmatch
_ISO = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII
).fullmatch
_ISO_BASIC = re.compile(r"\d{8}T\d{4}(?:\d\d)?(?:\.\d{1,9})?(?:Z|[+-]\d{4})?", re.ASCII).fullmatch
_LEAP_SECOND = re.compile(r"(.*[T ]\d\d:\d\d):60(.*)", re.ASCII).fullmatch
_NUMBER = re.compile(r"[+-]?\d{1,18}(?:\.\d*)?", re.ASCII).fullmatch
_WRITTEN = re.compile(r"[A-Za-z0-9 \t,./:+'-]{6,64}", re.ASCII).fullmatch
_WORDS = re.compile(r"[A-Za-z]+")
_YEAR = re.compile(r"(?<![\d+])\d{4}(?!\d)", re.ASCII)
_NUMERIC_DAY = re.compile(r"(?<!\d)\d{1,2}([/.-])\d{1,2}\1\d{4}(?!\d)", re.ASCII)

_MONTH_FIRST_REGIONS = frozenset({"US", "PH", "PR", "GU", "VI", "AS", "MP", "UM", "FM", "MH", "PW"})
_ZONE_HOURS = {"utc": 0, "gmt": 0, "z": 0, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6}
_ZONE_HOURS |= {"pst": -8, "pdt": -7, "cet": 1, "cest": 2, "bst": 1}
_KNOWN_WORDS = frozenset(
    re.findall(
        r"\w+",
        """january february march april may june july august september october november december
        jan feb mar apr jun jul aug sep sept oct nov dec
        monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri sat sun
        am pm st nd rd th at on of and t""",
    )
) | frozenset(_ZONE_HOURS)

# Two defaults that differ in year, month and day: a part the text does not name would show as a difference.
_ONE_DEFAULT, _OTHER_DEFAULT = datetime(2000, 1, 1, tzinfo=UTC), datetime(2004, 2, 2, tzinfo=UTC)

_NOT_A_DATE = "not a date"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_FROM = 1_000_000  # smaller numbers are years, months or day counts rather than epoch seconds
_MILLISECONDS_FROM = 100_000_000_000


def fixed_width(moment: datetime) -> str:
    """The stored text of `moment`; without an offset it is taken as UTC."""
    zone = moment.tzinfo
    if zone is None:
        return moment.isoformat("T", "microseconds") + "Z"
    if zone is not UTC:
        try:
            moment = moment.astimezone(UTC)
        except (OverflowError, ValueError) as error:
            raise Rejected("a date outside the years 1 to 9999") from error
    return moment.isoformat("T", "microseconds")[:26] + "Z"


def date_from_text(text: str, *, region: str) -> str:
    """The stored text for trimmed, non-empty `text`. `region` decides whether 1/2/2019 has the month first."""
    if _ISO(text) or _ISO_BASIC(text):
        try:
            if len(text) == 10:
                date.fromisoformat(text)
                return text + "T00:00:00.000000Z"
            if _STORED(text):
                datetime.fromisoformat(text)
                return text
            return fixed_width(datetime.fromisoformat(text))
        except ValueError as error:
            return _from_odd_iso(text, error)
    if _NUMBER(text):
        return _from_digits(text)
    return _from_written(text, region in _MONTH_FIRST_REGIONS)


def date_from_number(number: float) -> str:
    """The stored text for epoch seconds, or milliseconds from 100,000,000,000 on (seconds would be the year 5138)."""
    size = abs(number)
    if 0 < size < _SECONDS_FROM:
        raise Rejected("not a date: too small a number for epoch seconds")
    try:
        if size >= _MILLISECONDS_FROM:
            return fixed_width(_EPOCH + timedelta(milliseconds=number))
        return fixed_width(_EPOCH + timedelta(seconds=number))
    except (OverflowError, ValueError) as error:  # NaN, too, is a ValueError
        raise Rejected("a date outside the years 1 to 9999") from error


def date_from_day(day: date) -> str:
    """The stored text of a day: its midnight in UTC."""
    return fixed_width(datetime.combine(day, time()))


def _from_digits(text: str) -> str:
    """Eight digits are a day (20190105) where they can be one; every other number counts from the epoch."""
    if len(text) == 8 and text.isdigit() and "1900" <= text[:4] < "2100":
        try:
            return date_from_day(date.fromisoformat(text))
        except ValueError:
            pass
    whole, _, fraction = text.partition(".")
    return date_from_number(float(text) if fraction.strip("0") else int(whole))


def _from_odd_iso(text: str, error: ValueError) -> str:
    """RFC 3339 allows the second 60 and ISO 8601 the hour 24; Python's reader knows neither."""
    leap = _LEAP_SECOND(text)
    try:
        if leap:
            return fixed_width(datetime.fromisoformat(f"{leap[1]}:59{leap[2]}") + timedelta(seconds=1))
        if text[10:16] in ("T24:00", " 24:00") and not text[16:].strip(":0.,Z"):
            return fixed_width(datetime.fromisoformat(text[:10]) + timedelta(days=1))
    except (ValueError, OverflowError):
        pass
    raise Rejected("not a date that exists") from error


@lru_cache(maxsize=8192)
def _from_written(text: str, month_first: bool) -> str:
    """What people write: "Jan 5, 2019", "5 January 2019 3:04 pm", "01/05/2019"."""
    upper = text.upper()
    if _ISO(upper) and upper != text:  # RFC 3339 allows a small t and z
        return date_from_text(upper, region="")
    if not _WRITTEN(text) or any(word.lower() not in _KNOWN_WORDS for word in _WORDS.findall(text)):
        raise Rejected(_NOT_A_DATE)
    if not _YEAR.search(text):
        raise Rejected("not a date with a year of four digits")
    numeric = _NUMERIC_DAY.search(text)
    day_first = numeric is not None and (not month_first or numeric[1] == ".")
    one, other = (_read_written(text, day_first, default) for default in (_ONE_DEFAULT, _OTHER_DEFAULT))
    if one != other:
        raise Rejected("not a whole date: year, month and day are needed")
    return fixed_width(one)


def _read_written(text: str, day_first: bool, default: datetime) -> datetime:
    try:
        return dateutil_parser.parse(text, dayfirst=day_first, default=default, tzinfos=_find_zone)
    except (ValueError, OverflowError, TypeError, AttributeError, IndexError, ArithmeticError) as error:
        raise Rejected(_NOT_A_DATE) from error  # the library lets all of these out for text it cannot read


def _find_zone(name: str | None, offset: int | None) -> tzinfo | None:
    """Named zones are looked up here alone, so that the machine's own zone never decides what a name means."""
    if offset is not None:
        return timezone(timedelta(seconds=offset))
    if name is None:
        return None
    hours = _ZONE_HOURS.get(name.lower())
    if hours is None:
        raise Rejected(f"not a date: unknown time zone {name}")
    return timezone(timedelta(hours=hours))
