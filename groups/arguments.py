"""What a rule is given to compare with: read from JSON and checked, in the form that its operator takes.

Used by `groups/reading.py`. Whatever is wrong is raised as WrongArgument, with half a sentence that says what to do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django.utils.translation import gettext

from groups.moving_time import UNITS, Span
from groups.operators import Argument, Operator
from profiles.types import TYPES, Rejected, parse_float, parse_integer

MAX_VALUES = 1000
MAX_AMOUNT = 100_000
MAX_TEXT = 2000

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class WrongArgument(Exception):
    """An argument that cannot be used; the text is a sentence."""


def read_argument(value: Any, operator: Operator, type_name: str, *, region: str) -> Any:
    """By operator.argument: None, text, typed value, tuple of values, pair, Span."""
    match operator.argument:
        case Argument.NONE:
            if value is not None:
                raise WrongArgument(gettext("there is nothing to compare with, leave the value out."))
            return None
        case Argument.TEXT:
            return read_text(value)
        case Argument.VALUE:
            return _read_value(value, type_name, region)
        case Argument.VALUES:
            return _read_values(value, type_name, region)
        case Argument.RANGE:
            return _read_range(value, type_name, region)
        case Argument.SPAN:
            return read_span(value)


def read_text(value: Any) -> str:
    """A text that can be stored and is not empty."""
    if not isinstance(value, str) or not value:
        raise WrongArgument(gettext("give a text to look for."))
    if len(value) > MAX_TEXT:
        raise WrongArgument(gettext("the text is longer than %(max_text)s characters.") % {"max_text": MAX_TEXT})
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise WrongArgument(gettext("the text holds a character that cannot be stored."))
    return value


def _read_value(value: Any, type_name: str, region: str) -> Any:
    """One value of the property's type, read as such values always are."""
    if value is None or isinstance(value, list | Mapping):
        raise WrongArgument(gettext("give one value to compare with."))
    if type_name == "date":
        return _read_date(value)
    try:
        parsed = _parse_number(value) if type_name in ("integer", "float") else _parse(value, type_name, region)
    except Rejected as rejected:
        raise WrongArgument(
            gettext("“%(value)s” is %(reason)s.") % {"value": str(value)[:100], "reason": rejected.reason}
        ) from rejected
    if parsed is None:
        raise WrongArgument(gettext("give a value to compare with."))
    return read_text(parsed) if isinstance(parsed, str) else parsed


def _parse(value: Any, type_name: str, region: str) -> Any:
    return TYPES[type_name].parse(value, region=region)


def _parse_number(value: Any) -> int | float | None:
    """Whole numbers stay whole, since a float cannot hold all of them."""
    try:
        return parse_integer(value)
    except Rejected:
        return parse_float(value)


def _read_values(value: Any, type_name: str, region: str) -> tuple[Any, ...]:
    if not isinstance(value, list) or not value:
        raise WrongArgument(gettext("give a list of values to compare with."))
    if len(value) > MAX_VALUES:
        raise WrongArgument(gettext("give at most %(max_values)s values.") % {"max_values": MAX_VALUES})
    return tuple(_read_value(each, type_name, region) for each in value)


def _read_range(value: Any, type_name: str, region: str) -> tuple[Any, Any]:
    if not isinstance(value, list) or len(value) != 2:
        raise WrongArgument(gettext("give a list of two values, the least and the greatest."))
    first, last = (_read_value(each, type_name, region) for each in value)
    if type_name != "date" and first > last:
        raise WrongArgument(gettext("the first value is greater than the second."))
    if type_name == "date" and _day_of(first) > _day_of(last):
        raise WrongArgument(gettext("the first date is later than the second."))
    return first, last


def _day_of(given: date | datetime) -> date:
    return given.date() if isinstance(given, datetime) else given


def _read_date(value: Any) -> date | datetime:
    try:
        if isinstance(value, str) and _DAY.fullmatch(value.strip()):
            return date.fromisoformat(value.strip())
        if isinstance(value, str) and _DAY.match(value.strip()):
            return datetime.fromisoformat(value.strip())
    except ValueError as error:
        raise WrongArgument(gettext("%(value)s is not a date that exists.") % {"value": value[:40]}) from error
    raise WrongArgument(gettext("write a day such as 2024-03-01, or a time such as 2024-03-01T09:00."))


def read_span(value: Any) -> Span:
    """A length of time."""
    amount, unit = (value.get("amount"), value.get("unit")) if isinstance(value, Mapping) else (None, None)
    if unit not in UNITS:
        raise WrongArgument(
            gettext('write it as {"amount": 7, "unit": "days"}, with one of %(units)s.') % {"units": ", ".join(UNITS)}
        )
    if isinstance(amount, bool) or not isinstance(amount, int) or not 1 <= amount <= MAX_AMOUNT:
        raise WrongArgument(
            gettext("the amount is a whole number from 1 to %(max_amount)s.") % {"max_amount": MAX_AMOUNT}
        )
    return Span(amount, str(unit))
