"""Rule trees: the JSON that a group keeps, read and checked into frozen objects. Everyone else works on these.

    {"match": "all",
     "rules": [{"property": "ltv", "operator": "greater_than", "value": 0},
               {"property": "last_purchase", "operator": "more_than_ago", "value": {"amount": 2, "unit": "months"}},
               {"property": "email", "operator": "does_not_contain", "value": "@x.com", "include_null": false}]}

A node matches all or any of its children. A day is written 2024-03-01, a moment 2024-03-01T09:00 (the project's time)
or with an offset. `include_null` belongs to negative operators, `case_sensitive` to those that compare text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from core.lib.errors import InvalidInput
from groups.moving_time import UNITS, Span
from groups.operators import Argument, Operator, find, for_property
from profiles.ruleset import Rule
from profiles.types import TYPES, Rejected, parse_float, parse_integer

MATCHES = ("all", "any")
MAX_DEPTH = 1  # nodes below one another; the reader, the SQL and the sentence know no limit
MAX_LEAVES = 100
MAX_VALUES = 1000
MAX_AMOUNT = 100_000
MAX_TEXT = 2000

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LEAF_KEYS = frozenset({"property", "operator", "value", "include_null", "case_sensitive"})


@dataclass(frozen=True, slots=True)
class Leaf:
    """A question about one property. `path` is its place in the tree, such as "0" or "0.2"."""

    path: str
    rule_id: int
    key: str
    label: str
    type: str
    is_array: bool
    operator: Operator
    argument: Any  # by operator.argument: None, str, typed value, tuple of values, Span
    include_null: bool
    case_sensitive: bool


@dataclass(frozen=True, slots=True)
class Node:
    """All or any of its children."""

    match: str
    children: tuple[Node | Leaf, ...]

    def leaves(self) -> Iterator[Leaf]:
        """Every leaf below, in order."""
        for child in self.children:
            if isinstance(child, Node):
                yield from child.leaves()
            else:
                yield child


@dataclass(slots=True)
class _Reading:
    """What reading needs to know, and what it found wrong, by place."""

    by_key: Mapping[str, Rule]
    region: str
    errors: dict[str, str] = field(default_factory=dict)
    leaves: int = 0

    def refuse(self, path: str, part: str, message: str) -> None:
        self.errors[".".join(["rules", *filter(None, (path, part))])] = message


class _WrongArgumentError(Exception):
    """An argument that cannot be used; the text is a sentence."""


def read_tree(rules: Any, *, by_key: Mapping[str, Rule], region: str = "US") -> Node:
    """The tree of a group's JSON. Raises InvalidInput, with one sentence for each place that is wrong."""
    reading = _Reading(by_key, region)
    node = _read_node(rules, "", reading, depth=1)
    if reading.leaves > MAX_LEAVES:
        reading.refuse("", "", f"A group can have at most {MAX_LEAVES} rules.")
    if node is None or reading.errors:
        raise InvalidInput("These rules cannot be used: " + " ".join(reading.errors.values()), fields=reading.errors)
    return node


def write_tree(rules: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of rules that were read without errors, with nothing but what has a meaning."""
    return {"match": rules["match"], "rules": [_write_leaf(rule) for rule in rules["rules"]]}


def _write_leaf(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: rule[key] for key in ("property", "operator", "value", "include_null", "case_sensitive") if key in rule
    }


def _read_node(given: Any, path: str, reading: _Reading, *, depth: int) -> Node | None:
    if not isinstance(given, Mapping):
        reading.refuse(path, "", 'Rules are an object such as {"match": "all", "rules": [...]}.')
        return None
    if given.get("match") not in MATCHES:
        reading.refuse(path, "match", 'Say whether "all" or "any" of the rules have to match.')
        return None
    rules = given.get("rules")
    if not isinstance(rules, list) or not rules:
        reading.refuse(path, "", "Add at least one rule.")
        return None
    children = [
        _read_child(rule, f"{path}.{place}" if path else str(place), reading, depth=depth)
        for place, rule in enumerate(rules)
    ]
    return Node(given["match"], tuple(child for child in children if child is not None))


def _read_child(given: Any, path: str, reading: _Reading, *, depth: int) -> Node | Leaf | None:
    if not isinstance(given, Mapping):
        reading.refuse(path, "", 'A rule is an object such as {"property": "ltv", "operator": "exists"}.')
        return None
    if "match" in given or "rules" in given:
        if depth < MAX_DEPTH:
            return _read_node(given, path, reading, depth=depth + 1)
        reading.refuse(path, "", "A rule cannot hold rules of its own: put them side by side.")
        return None
    reading.leaves += 1
    unknown = sorted(set(map(str, given)) - _LEAF_KEYS)
    if unknown:
        reading.refuse(path, "", f"A rule asks about a property; it cannot have {', '.join(unknown)}.")
        return None
    return _read_leaf(given, path, reading)


def _read_leaf(given: Mapping[str, Any], path: str, reading: _Reading) -> Leaf | None:
    key, operator_key = given.get("property"), given.get("operator")
    rule = reading.by_key.get(key) if isinstance(key, str) else None
    if rule is None:
        reading.refuse(path, "property", f"There is no property {key}." if key else "Choose a property.")
        return None
    operator = find(operator_key, rule.type) if isinstance(operator_key, str) else None
    if operator is None or not operator.suits(rule.type, is_array=rule.is_array):
        known = ", ".join(each.key for each in for_property(rule.type, is_array=rule.is_array))
        kind = f"{'list of ' if rule.is_array else ''}{rule.type}"
        reading.refuse(path, "operator", f"{rule.key} ({kind}) can be asked: {known}.")
        return None
    argument = None
    try:
        argument = _read_argument(given, operator, rule.type, reading.region)
    except _WrongArgumentError as wrong:
        reading.refuse(path, "value", f"{rule.key} {operator.label}: {wrong}")
    return Leaf(
        path=path,
        rule_id=rule.id,
        key=rule.key,
        label=rule.label or rule.key,
        type=rule.type,
        is_array=rule.is_array,
        operator=operator,
        argument=argument,
        include_null=_read_switch(given, "include_null", path, reading, allowed=operator.is_negative, default=True),
        case_sensitive=_read_switch(given, "case_sensitive", path, reading, allowed=operator.folds_case, default=False),
    )


def _read_switch(
    given: Mapping[str, Any], name: str, path: str, reading: _Reading, *, allowed: bool, default: bool
) -> bool:
    value = given.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        reading.refuse(path, name, f"{name} is true or false.")
    elif not allowed and value is not default:
        reading.refuse(path, name, f"{name} has no meaning for {given['operator']}: leave it out.")
    return value is True


# ---------------------------------------------------------------- arguments


def _read_argument(given: Mapping[str, Any], operator: Operator, type_name: str, region: str) -> Any:
    value = given.get("value")
    match operator.argument:
        case Argument.NONE:
            if value is not None:
                raise _WrongArgumentError("there is nothing to compare with, leave the value out.")
            return None
        case Argument.TEXT:
            return _read_text(value)
        case Argument.VALUE:
            return _read_value(value, type_name, region)
        case Argument.VALUES:
            return _read_values(value, type_name, region)
        case Argument.RANGE:
            return _read_range(value, type_name, region)
        case Argument.SPAN:
            return _read_span(value)


def _read_text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _WrongArgumentError("give a text to look for.")
    if len(value) > MAX_TEXT:
        raise _WrongArgumentError(f"the text is longer than {MAX_TEXT} characters.")
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise _WrongArgumentError("the text holds a character that cannot be stored.")
    return value


def _read_value(value: Any, type_name: str, region: str) -> Any:
    """One value of the property's type, read as such values always are."""
    if value is None or isinstance(value, list | Mapping):
        raise _WrongArgumentError("give one value to compare with.")
    if type_name == "date":
        return _read_date(value)
    try:
        parsed = _parse_number(value) if type_name in ("integer", "float") else _parse(value, type_name, region)
    except Rejected as rejected:
        raise _WrongArgumentError(f"“{str(value)[:100]}” is {rejected.reason}.") from rejected
    if parsed is None:
        raise _WrongArgumentError("give a value to compare with.")
    return _read_text(parsed) if isinstance(parsed, str) else parsed


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
        raise _WrongArgumentError("give a list of values to compare with.")
    if len(value) > MAX_VALUES:
        raise _WrongArgumentError(f"give at most {MAX_VALUES} values.")
    return tuple(_read_value(each, type_name, region) for each in value)


def _read_range(value: Any, type_name: str, region: str) -> tuple[Any, Any]:
    if not isinstance(value, list) or len(value) != 2:
        raise _WrongArgumentError("give a list of two values, the least and the greatest.")
    first, last = (_read_value(each, type_name, region) for each in value)
    if type_name != "date" and first > last:
        raise _WrongArgumentError("the first value is greater than the second.")
    if type_name == "date" and _day_of(first) > _day_of(last):
        raise _WrongArgumentError("the first date is later than the second.")
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
        raise _WrongArgumentError(f"{value[:40]} is not a date that exists.") from error
    raise _WrongArgumentError("write a day such as 2024-03-01, or a time such as 2024-03-01T09:00.")


def _read_span(value: Any) -> Span:
    amount, unit = (value.get("amount"), value.get("unit")) if isinstance(value, Mapping) else (None, None)
    if unit not in UNITS:
        raise _WrongArgumentError(f'write it as {{"amount": 7, "unit": "days"}}, with one of {", ".join(UNITS)}.')
    if isinstance(amount, bool) or not isinstance(amount, int) or not 1 <= amount <= MAX_AMOUNT:
        raise _WrongArgumentError(f"the amount is a whole number from 1 to {MAX_AMOUNT}.")
    return Span(amount, str(unit))
