"""Reads the JSON that a group keeps into a rule tree (`groups/tree.py`), and says what is wrong with it.

    {"match": "all",
     "rules": [{"property": "ltv", "operator": "greater_than", "value": 0},
               {"property": "email", "operator": "does_not_contain", "value": "@x.com", "include_null": false},
               {"property": "tags", "operator": "starts_with", "value": "vip", "items": "all"},
               {"match": "any",
                "rules": [{"profile": "created_at", "operator": "in_the_past", "value": {"amount": 7, "unit": "days"}},
                          {"group": 12, "operator": "not_in"}]},
               {"event": "Purchase", "operator": "at_least", "value": 2, "within": {"amount": 30, "unit": "days"},
                "where": [{"key": "total", "type": "number", "operator": "greater_than", "value": 10}]}]}

A node matches all, any or none of its children. A day is written 2024-03-01, a moment 2024-03-01T09:00 (the project's
time) or with an offset. `include_null` belongs to negative operators, `case_sensitive` to those that compare text,
`items` to arrays. Events are counted over all time without `within`; `did` means at least once, `did_not` never.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext, gettext_noop

from core.lib.errors import InvalidInput
from groups.arguments import MAX_TEXT, WrongArgument, read_argument, read_span, read_text
from groups.operators import Operator, for_field, for_property
from groups.tree import AnyLeaf, EventLeaf, GroupLeaf, Items, Leaf, Node, Source, Times
from profiles.ruleset import Rule

MATCHES = (gettext_noop("all"), gettext_noop("any"), gettext_noop("none"))
MAX_DEPTH = 5  # nodes below one another, the root included
MAX_LEAVES = 100
MAX_CONDITIONS = 10
MAX_COUNT = 1_000_000

FIELDS = {
    "created_at": (gettext_noop("Created"), "date"),
    "updated_at": (gettext_noop("Last changed"), "date"),
    "guid": (gettext_noop("Profile id"), "string"),
}
PAYLOAD_TYPES = {gettext_noop("text"): "string", gettext_noop("number"): "float", gettext_noop("boolean"): "boolean"}
IN_GROUP = {"in": True, "not_in": False}
COUNTS = {"at_least": Times.AT_LEAST, "at_most": Times.AT_MOST, "exactly": Times.EXACTLY}
DID = {"did": (Times.AT_LEAST, 1), "did_not": (Times.AT_MOST, 0)}

_VALUE_KEYS = ("operator", "value", "include_null", "case_sensitive")
_KEYS = {
    "property": ("property", *_VALUE_KEYS, "items"),
    "profile": ("profile", "operator", "value"),
    "group": ("group", "operator"),
    "event": ("event", "operator", "value", "within", "where"),
}
_CONDITION_KEYS = ("key", "type", *_VALUE_KEYS)


@dataclass(slots=True)
class _Reading:
    """What reading needs to know, and what it found wrong, by place."""

    by_key: Mapping[str, Rule]
    groups: Mapping[int, str] | None
    region: str
    errors: dict[str, str] = field(default_factory=dict)
    leaves: int = 0

    def refuse(self, path: str, part: str, message: str) -> None:
        self.errors[".".join(["rules", *filter(None, (path, part))])] = message


def read_tree(
    rules: Any, *, by_key: Mapping[str, Rule], groups: Mapping[int, str] | None = None, region: str = "US"
) -> Node:
    """The tree of a group's JSON. `groups` are the names of those that it may ask about; None: any, without names.

    Raises InvalidInput, with one sentence for each place that is wrong.
    """
    reading = _Reading(by_key, groups, region)
    node = _read_node(rules, "", reading, depth=1)
    if reading.leaves > MAX_LEAVES:
        reading.refuse("", "", gettext("A group can have at most %(count)s rules.") % {"count": MAX_LEAVES})
    if node is None or reading.errors:
        raise InvalidInput(
            gettext("These rules cannot be used: %(errors)s") % {"errors": " ".join(reading.errors.values())},
            fields=reading.errors,
        )
    return node


def read_conditions(given: Any, *, region: str = "US") -> tuple[Leaf, ...]:
    """Conditions on the payload of an event, in the form in which a rule about events has them under `where`.

    Raises InvalidInput, with one sentence for each place that is wrong, such as "rules.where.0.value".
    """
    reading = _Reading({}, None, region)
    conditions = tuple(_read_conditions(given, "", reading))
    if reading.errors:
        raise InvalidInput(" ".join(reading.errors.values()), fields=reading.errors)
    return conditions


def write_conditions(conditions: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The JSON of conditions that were read without errors, with nothing but what has a meaning."""
    return [{key: each[key] for key in _CONDITION_KEYS if key in each} for each in conditions]


def write_tree(rules: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of rules that were read without errors, with nothing but what has a meaning."""
    if "rules" in rules:
        return {"match": rules["match"], "rules": [write_tree(rule) for rule in rules["rules"]]}
    written = {key: rules[key] for key in _KEYS[kind_of(rules)] if key in rules}
    if written.get("where"):
        written["where"] = write_conditions(written["where"])
    return written


def kind_of(leaf: Mapping[str, Any]) -> str:
    """What a leaf asks about: property, profile, group or event."""
    return next((kind for kind in _KEYS if kind in leaf), "property")


def mentioned_groups(rules: Any) -> set[int]:
    """The ids of the groups that some JSON asks about, whether they exist or not."""
    return {each["group"] for each in _parts(rules) if _is_id(each.get("group"))}


def _parts(rules: Any) -> Iterator[Mapping[str, Any]]:
    waiting = [rules]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            yield part
            below = part.get("rules")
            waiting += below if isinstance(below, list) else []


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31


def _read_node(given: Any, path: str, reading: _Reading, *, depth: int) -> Node | None:
    if not isinstance(given, Mapping):
        reading.refuse(path, "", gettext('Rules are an object such as {"match": "all", "rules": [...]}.'))
        return None
    unknown = sorted(set(map(str, given)) - {"match", "rules"})
    if unknown:
        reading.refuse(
            path,
            "",
            gettext("Rules have a match and a list of rules; they cannot have %(unknown)s.")
            % {"unknown": ", ".join(unknown)},
        )
        return None
    if given.get("match") not in MATCHES:
        reading.refuse(path, "match", gettext('Say whether "all", "any" or "none" of the rules have to match.'))
        return None
    rules = given.get("rules")
    if not isinstance(rules, list) or not rules:
        reading.refuse(path, "", gettext("Add at least one rule."))
        return None
    children = [
        _read_child(rule, f"{path}.{place}" if path else str(place), reading, depth=depth)
        for place, rule in enumerate(rules)
    ]
    return Node(given["match"], tuple(child for child in children if child is not None), path)


def _read_child(given: Any, path: str, reading: _Reading, *, depth: int) -> Node | AnyLeaf | None:
    if not isinstance(given, Mapping):
        reading.refuse(path, "", gettext('A rule is an object such as {"property": "ltv", "operator": "exists"}.'))
        return None
    if "match" in given or "rules" in given:
        if depth < MAX_DEPTH:
            return _read_node(given, path, reading, depth=depth + 1)
        reading.refuse(
            path,
            "",
            gettext("Rules can be nested %(count)s deep: put these into a group of their own.") % {"count": MAX_DEPTH},
        )
        return None
    reading.leaves += 1
    kind = kind_of(given)
    unknown = sorted(set(map(str, given)) - set(_KEYS[kind]))
    if unknown:
        reading.refuse(
            path,
            "",
            gettext("A rule about %(about)s cannot have %(unknown)s.")
            % {"about": gettext(_ABOUT[kind]), "unknown": ", ".join(unknown)},
        )
        return None
    return _READERS[kind](given, path, reading)


# ---------------------------------------------------------------- values


def _read_property(given: Mapping[str, Any], path: str, reading: _Reading) -> Leaf | None:
    key = given.get("property")
    rule = reading.by_key.get(key) if isinstance(key, str) else None
    if rule is None:
        reading.refuse(
            path,
            "property",
            gettext("There is no property %(key)s.") % {"key": key} if key else gettext("Choose a property."),
        )
        return None
    operators = list(for_property(rule.type, is_array=rule.is_array))
    asked = _Asked(Source.PROPERTY, rule.id, rule.key, rule.label or rule.key, rule.type, rule.is_array)
    return _read_value_leaf(given, path, reading, asked, operators)


def _read_field(given: Mapping[str, Any], path: str, reading: _Reading) -> Leaf | None:
    key = given.get("profile")
    if not isinstance(key, str) or key not in FIELDS:
        reading.refuse(
            path, "profile", gettext("Of a profile itself you can ask %(fields)s.") % {"fields": ", ".join(FIELDS)}
        )
        return None
    label, type_name = FIELDS[key]
    asked = _Asked(Source.PROFILE, None, key, label, type_name, is_array=False)
    return _read_value_leaf(given, path, reading, asked, list(for_field(type_name)))


@dataclass(frozen=True, slots=True)
class _Asked:
    """The value that a leaf asks about."""

    source: Source
    rule_id: int | None
    key: str
    label: str
    type: str
    is_array: bool


def _read_value_leaf(
    given: Mapping[str, Any], path: str, reading: _Reading, asked: _Asked, operators: list[Operator]
) -> Leaf | None:
    operator = next((each for each in operators if each.key == given.get("operator")), None)
    if operator is None:
        known = ", ".join(each.key for each in operators)
        kind = gettext("list of %(type)s") % {"type": asked.type} if asked.is_array else asked.type
        reading.refuse(
            path,
            "operator",
            gettext("%(asked)s (%(kind)s) can be asked: %(known)s.")
            % {"asked": asked.key, "kind": kind, "known": known},
        )
        return None
    argument = None
    try:
        argument = read_argument(given.get("value"), operator, asked.type, region=reading.region)
    except WrongArgument as wrong:
        reading.refuse(path, "value", f"{asked.key} {gettext(operator.label)}: {wrong}")
    return Leaf(
        path=path,
        source=asked.source,
        rule_id=asked.rule_id,
        key=asked.key,
        label=asked.label,
        type=asked.type,
        is_array=asked.is_array,
        operator=operator,
        argument=argument,
        include_null=_read_switch(given, "include_null", path, reading, allowed=operator.is_negative, default=True),
        case_sensitive=_read_switch(given, "case_sensitive", path, reading, allowed=operator.folds_case, default=False),
        items=_read_items(given, path, reading, allowed=asked.is_array and operator.asks_items),
    )


def _read_switch(
    given: Mapping[str, Any], name: str, path: str, reading: _Reading, *, allowed: bool, default: bool
) -> bool:
    value = given.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        reading.refuse(path, name, gettext("%(name)s is true or false.") % {"name": name})
    elif not allowed and value is not default:
        reading.refuse(
            path,
            name,
            gettext("%(name)s has no meaning for %(operator)s: leave it out.")
            % {"name": name, "operator": given["operator"]},
        )
    return value is True


def _read_items(given: Mapping[str, Any], path: str, reading: _Reading, *, allowed: bool) -> Items:
    value = given.get("items")
    if value not in (None, *Items):
        reading.refuse(path, "items", gettext('items is "any" or "all".'))
        return Items.ANY
    if value == Items.ALL and not allowed:
        reading.refuse(
            path,
            "items",
            gettext("items has no meaning for %(operator)s here: leave it out.") % {"operator": given["operator"]},
        )
    return Items(value or Items.ANY)


# ---------------------------------------------------------------- groups


def _read_group(given: Mapping[str, Any], path: str, reading: _Reading) -> GroupLeaf | None:
    group_id, groups = given.get("group"), reading.groups
    if not _is_id(group_id) or (groups is not None and group_id not in groups):
        reading.refuse(
            path,
            "group",
            gettext("There is no group %(group_id)s.") % {"group_id": group_id}
            if group_id
            else gettext("Choose a group."),
        )
        return None
    operator = given.get("operator")
    if not isinstance(operator, str) or operator not in IN_GROUP:
        reading.refuse(
            path, "operator", gettext("About a group you can ask: %(operators)s.") % {"operators": ", ".join(IN_GROUP)}
        )
        return None
    return GroupLeaf(path, int(str(group_id)), (groups or {}).get(int(str(group_id)), ""), IN_GROUP[operator])


# ---------------------------------------------------------------- what someone did


def _read_event(given: Mapping[str, Any], path: str, reading: _Reading) -> EventLeaf | None:
    try:
        type_name = read_text(given.get("event"))
    except WrongArgument:
        reading.refuse(
            path, "event", gettext("Say which event: a text of at most %(count)s characters.") % {"count": MAX_TEXT}
        )
        return None
    operator, within = given.get("operator"), None
    if not isinstance(operator, str) or operator not in {**DID, **COUNTS}:
        reading.refuse(
            path,
            "operator",
            gettext("About an event you can ask: %(operators)s.") % {"operators": ", ".join([*DID, *COUNTS])},
        )
        return None
    if given.get("within") is not None:
        try:
            within = read_span(given["within"])
        except WrongArgument as wrong:
            reading.refuse(path, "within", gettext("within: %(wrong)s") % {"wrong": wrong})
    times, count = DID[operator] if operator in DID else (COUNTS[operator], _read_count(given, path, reading))
    if operator in DID and given.get("value") is not None:
        reading.refuse(
            path, "value", gettext("%(operator)s takes no number: leave the value out.") % {"operator": operator}
        )
    where = tuple(_read_conditions(given.get("where"), path, reading))
    return EventLeaf(path, type_name, times, count, within, where)


def _read_count(given: Mapping[str, Any], path: str, reading: _Reading) -> int:
    value, least = given.get("value"), 1 if given["operator"] == "at_least" else 0
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_COUNT:
        reading.refuse(
            path,
            "value",
            gettext("How often? Write a whole number from %(least)s to %(most)s.")
            % {"least": least, "most": MAX_COUNT},
        )
        return least
    return value


def _read_conditions(given: Any, path: str, reading: _Reading) -> Iterable[Leaf]:
    if given is None:
        return
    if not isinstance(given, list) or len(given) > MAX_CONDITIONS:
        reading.refuse(path, "where", f"where is a list of at most {MAX_CONDITIONS} conditions on the payload.")
        return
    for place, each in enumerate(given):
        condition = _read_condition(each, f"{path}.where.{place}".removeprefix("."), reading)
        if condition is not None:
            yield condition


def _read_condition(given: Any, path: str, reading: _Reading) -> Leaf | None:
    if not isinstance(given, Mapping):
        reading.refuse(path, "", gettext('A condition is an object such as {"key": "total", "operator": "exists"}.'))
        return None
    unknown = sorted(set(map(str, given)) - set(_CONDITION_KEYS))
    if unknown:
        reading.refuse(
            path, "", gettext("A condition on the payload cannot have %(unknown)s.") % {"unknown": ", ".join(unknown)}
        )
        return None
    try:
        key = read_text(given.get("key"))
    except WrongArgument:
        reading.refuse(path, "key", gettext("Say which key of the payload."))
        return None
    type_name = given.get("type", "text")
    if not isinstance(type_name, str) or type_name not in PAYLOAD_TYPES:
        reading.refuse(
            path,
            "type",
            gettext("A value in a payload is compared as %(types)s.") % {"types": ", ".join(PAYLOAD_TYPES)},
        )
        return None
    asked = _Asked(Source.PAYLOAD, None, key, key, PAYLOAD_TYPES[type_name], is_array=False)
    return _read_value_leaf(given, path, reading, asked, list(for_property(asked.type, is_array=False)))


_READERS = {"property": _read_property, "profile": _read_field, "group": _read_group, "event": _read_event}
_ABOUT = {
    "property": gettext_noop("a property"),
    "profile": gettext_noop("the profile"),
    "group": gettext_noop("a group"),
    "event": gettext_noop("an event"),
}
