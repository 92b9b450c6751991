"""Says a rule tree in one English sentence, from the sentences of the operators."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from groups.moving_time import Span
from groups.operators import Argument, Form
from groups.tree import Leaf, Node
from profiles.types import TYPES


def say_tree(node: Node) -> str:
    """Such as: People whose Lifetime value is greater than 0 and whose Last purchase is more than 2 months ago."""
    return f"People {_say(node)}."


def say_leaf(leaf: Leaf) -> str:
    """Such as: Lifetime value is greater than 0."""
    operator, name = leaf.operator, leaf.label
    template = operator.sentence
    if _asks_items(leaf):
        name = f"{'none' if operator.negated else 'one'} of {leaf.label}"
        template = (operator.negated or operator).sentence
    said = template.format(name=name, value=say_argument(leaf))
    if operator.is_negative and not leaf.include_null:
        said += " (and is known)"
    return said


def say_argument(leaf: Leaf) -> str:
    """What a leaf compares with, in words."""
    given = leaf.argument
    match leaf.operator.argument:
        case Argument.NONE:
            return ""
        case Argument.SPAN:
            return say_span(given)
        case Argument.VALUES:
            return ", ".join(_say_value(each, leaf.type) for each in given)
        case Argument.RANGE:
            return " and ".join(_say_value(each, leaf.type) for each in given)
        case _:
            return _say_value(given, leaf.type)


def say_span(span: Span) -> str:
    """Such as: 7 days, 1 month."""
    return f"{span.amount} {span.unit if span.amount != 1 else span.unit.removesuffix('s')}"


def _say(part: Node | Leaf) -> str:
    if isinstance(part, Leaf):
        return f"{'for whom' if _asks_items(part) else 'whose'} {say_leaf(part)}"
    parts = [f"({_say(child)})" if isinstance(child, Node) else _say(child) for child in part.children]
    return (" and " if part.match == "all" else " or ").join(parts)


def _asks_items(leaf: Leaf) -> bool:
    """Whether it asks about each item of an array with an operator that single values have too."""
    return leaf.is_array and leaf.operator.on_single and leaf.operator.form is not Form.WHOLE


def _say_value(value: Any, type_name: str) -> str:
    if isinstance(value, datetime):
        return f"{_say_day(value)} {value:%H:%M}"
    if isinstance(value, date):
        return _say_day(value)
    if isinstance(value, str):
        return f"“{value}”"
    return TYPES["integer" if type(value) is int else type_name].show(value)


def _say_day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
