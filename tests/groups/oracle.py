"""Group rules evaluated in plain Python, written from the domain's words and not from the SQL."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Being:
    """Someone as the domain sees them: stored properties, the profile's own fields, what they did, their groups."""

    properties: Mapping[str, Any]
    guid: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    events: Sequence[tuple[str, datetime, Mapping[str, Any]]] = ()
    groups: AbstractSet[int] = frozenset()


def matches(
    rules: Mapping[str, Any],
    person: Mapping[str, Any] | Being,
    types: Mapping[str, str],
    *,
    now: datetime,
    zone: ZoneInfo,
) -> bool:
    """Whether someone matches the JSON of a group: a tree, or one leaf of it."""
    being = person if isinstance(person, Being) else Being(person)
    if "match" not in rules:
        return _leaf_matches(rules, being, types, now=now, zone=zone)
    answers = [matches(rule, being, types, now=now, zone=zone) for rule in rules["rules"]]
    return {"all": all(answers), "any": any(answers), "none": not any(answers)}[rules["match"]]


def _leaf_matches(
    rule: Mapping[str, Any], being: Being, types: Mapping[str, str], *, now: datetime, zone: ZoneInfo
) -> bool:
    if "group" in rule:
        return (rule["group"] in being.groups) is (rule["operator"] == "in")
    if "event" in rule:
        return _did(rule, being, now=now, zone=zone)
    if rule.get("profile") == "guid":
        return leaf_matches({**rule, "property": "guid"}, {"guid": being.guid}, "string", now=now, zone=zone)
    if "profile" in rule:
        at = being.created_at if rule["profile"] == "created_at" else being.updated_at
        assert at is not None
        return leaf_matches({**rule, "property": "at"}, {"at": at.isoformat()}, "date", now=now, zone=zone)
    return leaf_matches(rule, being.properties, types[rule["property"]], now=now, zone=zone)


def _did(rule: Mapping[str, Any], being: Being, *, now: datetime, zone: ZoneInfo) -> bool:
    count = sum(
        type_name == rule["event"]
        and _is_within(rule.get("within"), at, now=now, zone=zone)
        and all(_holds_in(payload, each, now=now, zone=zone) for each in rule.get("where", ()))
        for type_name, at, payload in being.events
    )
    wanted = rule.get("value", 0)
    answers: dict[str, bool] = {
        "did": count >= 1,
        "did_not": count == 0,
        "at_least": count >= wanted,
        "at_most": count <= wanted,
        "exactly": count == wanted,
    }
    return answers[rule["operator"]]


def _is_within(within: Mapping[str, Any] | None, at: datetime, *, now: datetime, zone: ZoneInfo) -> bool:
    if within is None:
        return True
    return shift(now, -within["amount"], within["unit"], zone=zone) < at <= now


def _holds_in(payload: Mapping[str, Any], rule: Mapping[str, Any], *, now: datetime, zone: ZoneInfo) -> bool:
    """A condition on a payload: a value counts where it can be read as the type that is asked for."""
    value, kind, operator = payload.get(rule["key"]), rule.get("type", "text"), rule["operator"]
    if operator in ("exists", "does_not_exist"):
        return (value is not None) is (operator == "exists")
    seen = None if value is None else _seen_as(kind, value)
    if seen is None:
        return operator in NEGATIVE and (value is not None or rule.get("include_null", True))
    types = {"text": "string", "number": "float", "boolean": "boolean"}
    return leaf_matches({**rule, "property": "value"}, {"value": seen}, types[kind], now=now, zone=zone)


def _seen_as(kind: str, value: Any) -> Any:
    text = value if isinstance(value, str) else json.dumps(value)
    if kind == "text":
        return text
    if kind == "number":
        return Decimal(text) if re.fullmatch(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", text) else None
    return {"true": True, "false": False}.get(text.lower())


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
        answers = [_item_matches(asked, item, rule, type_name, now=now, zone=zone) for item in items]
        holds = bool(answers) and all(answers) if rule.get("items") == "all" else any(answers)
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
