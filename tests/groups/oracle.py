"""Group rules evaluated in plain Python, written from the domain's words and not from the SQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from groups.moving_time import Span, shift

NEGATIVE = {
    "does_not_equal": "equals",
    "is_none_of": "is_any_of",
    "does_not_contain": "contains",
    "not_in_the_past": "in_the_past",
    "does_not_include": "includes",
    "is_empty": "is_not_empty",
}


def matches(
    rules: Mapping[str, Any], person: Mapping[str, Any], types: Mapping[str, str], *, now: datetime, zone: ZoneInfo
) -> bool:
    """Whether a person with these stored properties matches the JSON of a group."""
    answers = [leaf_matches(rule, person, types[rule["property"]], now=now, zone=zone) for rule in rules["rules"]]
    return all(answers) if rules["match"] == "all" else any(answers)


def leaf_matches(
    rule: Mapping[str, Any], person: Mapping[str, Any], type_name: str, *, now: datetime, zone: ZoneInfo
) -> bool:
    """Whether one rule holds for a person."""
    operator, value = rule["operator"], person.get(rule["property"])
    if operator == "exists":
        return value is not None
    if operator == "does_not_exist":
        return value is None
    positive = NEGATIVE.get(operator)
    if value is None:
        return positive is not None and rule.get("include_null", True)
    asked = positive or operator
    if asked == "is_not_empty":
        holds = len(value) > 0
    else:
        items = value if isinstance(value, list) else [value]
        holds = any(_item_matches(asked, item, rule, type_name, now=now, zone=zone) for item in items)
    return not holds if positive else holds


def _item_matches(
    operator: str, item: Any, rule: Mapping[str, Any], type_name: str, *, now: datetime, zone: ZoneInfo
) -> bool:
    argument: Any = rule.get("value")
    if type_name == "date":
        return _date_matches(operator, datetime.fromisoformat(item), argument, now=now, zone=zone)
    if type_name in ("integer", "float"):
        return _number_matches(operator, Decimal(str(item)), argument)
    if type_name == "boolean":
        return bool(item is {"is_true": True, "is_false": False, "includes": argument}[operator])
    fold = (lambda text: text) if rule.get("case_sensitive") else str.lower
    text = fold(item)
    match operator:
        case "equals" | "includes":
            return bool(text == fold(argument))
        case "is_any_of":
            return text in [fold(each) for each in argument]
        case "contains":
            return fold(argument) in text
        case "starts_with":
            return bool(text.startswith(fold(argument)))
        case "ends_with":
            return bool(text.endswith(fold(argument)))
    raise AssertionError(operator)


def _number_matches(operator: str, item: Decimal, argument: Any) -> bool:
    if operator == "between":
        return Decimal(str(argument[0])) <= item <= Decimal(str(argument[1]))
    other = Decimal(str(argument))
    answers = {
        "equals": item == other,
        "includes": item == other,
        "greater_than": item > other,
        "greater_than_or_equal": item >= other,
        "less_than": item < other,
        "less_than_or_equal": item <= other,
    }
    return answers[operator]


def _date_matches(operator: str, item: datetime, argument: Any, *, now: datetime, zone: ZoneInfo) -> bool:
    if operator in ("in_the_past", "in_the_next", "more_than_ago"):
        span = Span(argument["amount"], argument["unit"])
        if operator == "in_the_next":
            return now < item <= shift(now, span.amount, span.unit, zone=zone)
        ago = shift(now, -span.amount, span.unit, zone=zone)
        return item <= ago if operator == "more_than_ago" else ago < item <= now
    if operator == "between":
        return _first(argument[0], zone) <= item <= _last(argument[1], zone)
    answers = {
        "before": item < _first(argument, zone),
        "on_or_before": item <= _last(argument, zone),
        "after": item > _last(argument, zone),
        "on_or_after": item >= _first(argument, zone),
        "includes": _first(argument, zone) <= item <= _last(argument, zone),
    }
    return answers[operator]


def _first(text: str, zone: ZoneInfo) -> datetime:
    """The first moment that a written date means; without an offset it is local time."""
    given = datetime.combine(date.fromisoformat(text), time()) if len(text) == 10 else datetime.fromisoformat(text)
    return (given if given.tzinfo else given.replace(tzinfo=zone)).astimezone(UTC)


def _last(text: str, zone: ZoneInfo) -> datetime:
    """The last moment that a written date means."""
    if len(text) > 10:
        return _first(text, zone)
    return _first((date.fromisoformat(text) + timedelta(days=1)).isoformat(), zone) - timedelta(microseconds=1)
