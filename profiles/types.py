"""The value types of Profile Properties: how a value is read, stored, shown and compared. Nobody else converts.

`TYPES[key]` gives four functions. `parse` takes whatever a source, an event or a person gave and returns the typed
JSON value, None for null, or raises `Rejected`; it never raises anything else. It is called for every value of every
profile, so what is common is decided by `type(value) is ...` first and libraries come last.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address
from math import isfinite
from typing import Any, Protocol
from uuid import UUID

import phonenumbers
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy
from email_validator import EmailNotValidError, validate_email

from profiles.dates import date_from_day, date_from_text, fixed_width
from profiles.rejected import Rejected

__all__ = ["TYPES", "Rejected", "ValueType", "compare_key", "parse_array", "show_array"]

_UNSTORABLE = re.compile("[\0\ud800-\udfff]").search
_WHOLE = re.compile(r"[+-]?\d{1,19}(?:\.0*)?", re.ASCII).fullmatch
_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**63 - 1
_BEYOND = 2**64
_EXACT_FLOAT = 2.0**53
LONG_KEY = 500  # characters; PostgreSQL's index entries end at 2,704 bytes

_PLAIN_EMAIL = re.compile(
    r"[a-z0-9_+]+(?:[.-][a-z0-9_+]+)*@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+"
    r"(?!(?:arpa|invalid|local|localhost|onion|test)$)[a-z]{2,24}",
    re.ASCII,
).fullmatch
_URL_PARTS = re.compile(r"([^:/?#]+)(://)([^/?#@]*@)?([^/?#]*)(.*)", re.DOTALL).fullmatch
_PHONE_START = re.compile(r"(?:tel:)?[+＋(\d]").match
_CACHED = 65_536  # entries per library check; some 10 MB each when full

_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0"})


class Parse(Protocol):
    """Reads a value. `region` is the ISO 3166 code that decides local phone numbers and the order of 1/2/2019."""

    def __call__(self, value: Any, *, region: str = "US") -> Any: ...


@dataclass(frozen=True, slots=True)
class ValueType:
    """One value type. `python_type` is what `parse` returns and JSON stores; `parse` reads back what `show` writes."""

    key: str
    label: str | Promise
    python_type: type[Any]
    parse: Parse
    show: Callable[[Any], str]


# ---------------------------------------------------------------- text out of anything


def parse_string(value: Any, *, region: str = "US") -> str | None:
    """Any text, trimmed; numbers, times, UUIDs, bytes, lists and objects become their usual text."""
    text = value.strip() if type(value) is str else _text_of(value)
    if not text:
        return None
    if text.isascii():
        if "\0" in text:
            raise Rejected("holds a zero character, which cannot be stored")
    elif _UNSTORABLE(text):
        raise Rejected("holds a character that cannot be stored")
    return text


def _text_of(value: Any) -> str:
    """The trimmed text of a value that is not plain text; empty for null."""
    if value is None:
        return ""
    if isinstance(value, str):
        return str.__str__(value).strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return _text_of_int(value)
    if isinstance(value, float):
        return show_float(value)
    if isinstance(value, Decimal):
        return _text_of_decimal(value)
    if isinstance(value, dict | list | tuple):
        return _text_of_json(value)
    return _text_of_rare(value)


def _text_of_rare(value: Any) -> str:
    if isinstance(value, datetime):
        return fixed_width(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, UUID | timedelta | IPv4Address | IPv6Address):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        try:
            return bytes(value).decode().strip()
        except UnicodeDecodeError as error:
            raise Rejected("binary data, not text") from error
    raise Rejected(f"a value of the kind {type(value).__name__}, which cannot be stored")


def _text_of_int(value: int) -> str:
    try:
        return str(int(value))
    except ValueError as error:  # Python refuses to print more than some thousand digits
        raise Rejected("a number with too many digits") from error


def _text_of_decimal(value: Decimal) -> str:
    exponent = value.as_tuple().exponent
    plain = isinstance(exponent, int) and -100 <= exponent <= 100
    return format(value, "f") if plain else str(value)


def _text_of_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=_text_of)
    except (TypeError, ValueError, RecursionError) as error:
        raise Rejected("a list or object that cannot be written as JSON") from error


# ---------------------------------------------------------------- numbers and booleans


def parse_integer(value: Any, *, region: str = "US") -> int | None:
    """A whole number of 64 bits: 12, "12", 12.0, "12.0"; never true or false."""
    kind = type(value)
    if kind is int:
        number = value
    elif kind is str and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    elif value is None:
        return None
    elif isinstance(value, float | Decimal):
        number = _whole_of(value)
    elif isinstance(value, bool):
        raise Rejected("not a whole number")
    else:
        text = _text_of(value)
        if not text:
            return None
        if not _WHOLE(text):
            raise Rejected("not a whole number" if len(text) < 20 else "not a whole number of 64 bits")
        number = int(text.partition(".")[0])
    if _MIN_INTEGER <= number <= _MAX_INTEGER:
        return int(number)
    raise Rejected("a whole number outside 64 bits")


def _whole_of(value: float | Decimal) -> int:
    try:
        if -_BEYOND < value < _BEYOND and value == int(value):
            return int(value)
    except (ValueError, ArithmeticError) as error:  # NaN and Infinity
        raise Rejected("not a whole number") from error
    raise Rejected("not a whole number of 64 bits")


def parse_float(value: Any, *, region: str = "US") -> float | None:
    """A number of double precision; never NaN, Infinity, true or false."""
    kind = type(value)
    if kind is float:
        number: float = value
    elif value is None:
        return None
    elif kind is bool:
        raise Rejected("not a number")
    else:
        source = value if kind is str or isinstance(value, int | float | Decimal) else _text_of(value)
        if isinstance(source, str) and not source.strip():
            return None
        if isinstance(source, str) and ("_" in source or not source.isascii()):
            raise Rejected("not a number")
        try:
            number = float(source)
        except OverflowError as error:
            raise Rejected("a number too large to store") from error
        except (ValueError, ArithmeticError) as error:
            raise Rejected("not a number") from error
    if not isfinite(number):
        raise Rejected("not a finite number")
    return number + 0.0  # minus zero becomes zero


def show_float(value: float) -> str:
    """Whole numbers without ".0", up to where a double still holds every one of them."""
    return str(int(value)) if value.is_integer() and -_EXACT_FLOAT <= value <= _EXACT_FLOAT else repr(value)


def parse_boolean(value: Any, *, region: str = "US") -> bool | None:
    """true/false, t/f, yes/no, y/n, on/off, 1/0, in any case."""
    if value is True or value is False or value is None:
        return value
    if isinstance(value, bytes | bytearray | memoryview) and len(value) == 1:
        value = bytes(value)[0] if bytes(value) in (b"\0", b"\1") else value  # MySQL's bit(1)
    text = _text_of(value).lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if not text:
        return None
    raise Rejected("not a yes or no")


def show_boolean(value: bool) -> str:
    return "true" if value else "false"


# ---------------------------------------------------------------- dates


def parse_date(value: Any, *, region: str = "US") -> str | None:
    """A point in time as UTC text of fixed width; see `profiles.dates` for what is read."""
    if isinstance(value, str):
        text = value.strip()
        return date_from_text(text, region=region) if text else None
    if isinstance(value, datetime):
        return fixed_width(value)
    if isinstance(value, date):
        return date_from_day(value)
    if value is None:
        return None
    if isinstance(value, bool):
        raise Rejected("not a date")
    if isinstance(value, int | float | Decimal):
        text = _text_of(value)  # through text, so that 20190105 is the same day as a number and as text
    elif isinstance(value, bytes | bytearray | memoryview):
        text = _text_of(value)
    else:
        raise Rejected("not a date")
    return date_from_text(text, region=region) if text else None


# ---------------------------------------------------------------- checked by libraries


def parse_email(value: Any, *, region: str = "US") -> str | None:
    """An email address, lower-cased; whether its domain answers is not asked."""
    text = parse_string(value)
    if text is None:
        return None
    text = text.lower()
    at = text.find("@")
    if at <= 64 and len(text) <= 254 and _PLAIN_EMAIL(text) and text.find(".", at) - at <= 64:
        return text
    return _check_email(text)


def are_plain_emails(texts: Sequence[str]) -> bool:
    """Whether all of these trimmed, lower-case texts are addresses beyond doubt: none has a part that is too long."""
    return max(map(len, texts)) <= 64 and all(map(_PLAIN_EMAIL, texts))


@lru_cache(maxsize=_CACHED)
def _check_email(text: str) -> str:
    try:
        checked = validate_email(text, check_deliverability=False, strict=True).normalized.lower()
        return validate_email(checked, check_deliverability=False, strict=True).normalized
    except (EmailNotValidError, UnicodeError) as error:
        raise Rejected("not an email address") from error


def parse_phone_number(value: Any, *, region: str = "US") -> str | None:
    """A telephone number as E.164 ("+16502530000"); without a country code it belongs to `region`."""
    if isinstance(value, bool):
        raise Rejected("not a phone number")
    text = parse_string(value)
    return None if text is None else _check_phone_number(text, region)


@lru_cache(maxsize=_CACHED)
def _check_phone_number(text: str, region: str) -> str:
    if not _PHONE_START(text):  # the library would skip words in front of a number
        raise Rejected("not a phone number")
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise Rejected("not a phone number") from error
    if not phonenumbers.is_valid_number(number):
        raise Rejected("not a phone number in use anywhere")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


_check_django_url = URLValidator(schemes=["http", "https", "ftp", "ftps"])


def parse_url(value: Any, *, region: str = "US") -> str | None:
    """A web address; only its scheme and host are lower-cased."""
    text = parse_string(value)
    return None if text is None else _check_url(text)


@lru_cache(maxsize=_CACHED)
def _check_url(text: str) -> str:
    parts = _URL_PARTS(text)
    if parts is None:
        raise Rejected("not a web address (https://...)")
    scheme, colon, person, host, rest = parts.groups(default="")
    url = scheme.lower() + colon + person + host.lower() + rest
    try:
        _check_django_url(url)
    except (ValidationError, ValueError) as error:
        raise Rejected("not a web address") from error
    return url


# ---------------------------------------------------------------- the table


TYPES: dict[str, ValueType] = {
    each.key: each
    for each in (
        ValueType("string", gettext_lazy("Text"), str, parse_string, str),
        ValueType("integer", gettext_lazy("Whole number"), int, parse_integer, str),
        ValueType("float", gettext_lazy("Number"), float, parse_float, show_float),
        ValueType("boolean", gettext_lazy("Yes or no"), bool, parse_boolean, show_boolean),
        ValueType("date", gettext_lazy("Date"), str, parse_date, str),
        ValueType("email", gettext_lazy("Email address"), str, parse_email, str),
        ValueType("phone_number", gettext_lazy("Phone number"), str, parse_phone_number, str),
        ValueType("url", gettext_lazy("Web address"), str, parse_url, str),
    )
}


def compare_key(type_key: str, value: Any) -> str:
    """The text under which equal values meet, short enough for an index: what unique values are kept and found by.

    It is the shown text; of a very long one the beginning and a digest of the whole.
    """
    text = TYPES[type_key].show(value)
    if len(text) <= LONG_KEY:
        return text
    return f"{text[:400]}…{sha256(text.encode()).hexdigest()}"


# ---------------------------------------------------------------- arrays


def parse_array(type_key: str, value: Any, *, region: str = "US") -> list[Any] | None:
    """A list of parsed values in the order given; empty values are left out, a single value is a list of one.

    Text that is a JSON list is read as one, since many sources have no arrays. One bad item rejects the whole.
    """
    if isinstance(value, str):
        value = _list_in(value.strip())
    if value is None or value == "":
        return None
    items = value if isinstance(value, list | tuple) else [value]
    parse = TYPES[type_key].parse
    parsed: list[Any] = []
    for place, item in enumerate(items, start=1):
        try:
            one = parse(item, region=region)
        except Rejected as error:
            raise Rejected(f"item {place}: {error.reason}") from error
        if one is not None:
            parsed.append(one)
    return parsed


def show_array(type_key: str, values: list[Any]) -> str:
    """The shown items in order, separated by commas; for people, not for reading back."""
    return ", ".join(map(TYPES[type_key].show, values))


def _list_in(text: str) -> Any:
    if text[:1] != "[" or text[-1:] != "]":
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
