"""Says a rule tree in one English sentence, from the sentences of the operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any

from groups.moving_time import Span
from groups.operators import Argument, Form
from groups.tree import AnyLeaf, EventLeaf, GroupLeaf, Items, Leaf, Node, Times
from profiles.types import TYPES

Piece = tuple[str, bool]


def say_tree(node: Node) -> str:
    """Such as: People whose Lifetime value is greater than 0 and whose Last purchase is more than 2 months ago."""
    return "".join(text for text, _ in say_pieces(node))


def say_pieces(node: Node) -> tuple[Piece, ...]:
    """The sentence in pieces of text; True marks what a leaf asks."""
    return (("People ", False), *_say(node), (".", False))


def say_node(part: Node | AnyLeaf) -> str:
    """What a part of a tree asks, without the people: Lifetime value is greater than 0."""
    return "".join(text for text, _ in _say(part)) if isinstance(part, Node) else say_leaf(part)


def say_leaf(leaf: AnyLeaf) -> str:
    """What a leaf asks, such as: Lifetime value is greater than 0; is in VIPs; did Purchase at least twice."""
    match leaf:
        case Leaf():
            return _say_value_leaf(leaf)
        case GroupLeaf():
            return f"{'are' if leaf.is_in else 'are not'} in {leaf.name or f'group {leaf.group_id}'}"
        case EventLeaf():
            return _say_event(leaf)


def _say_value_leaf(leaf: Leaf) -> str:
    operator, name = leaf.operator, leaf.label
    template = operator.sentence
    if _asks_items(leaf):
        which = "none" if operator.negated else "every one" if leaf.items is Items.ALL else "one"
        name = f"{which} of {leaf.label}"
        template = (operator.negated or operator).sentence
    said = template.format(name=name, value=say_argument(leaf))
    if operator.is_negative and not leaf.include_null and not _asks_items(leaf):
        said += " (and is known)"
    return said


def _say_event(leaf: EventLeaf) -> str:
    did, often = "did", ""
    if leaf.times is Times.AT_MOST:
        did, often = ("did not do", "") if leaf.count == 0 else ("did", f" at most {_times(leaf.count)}")
    elif leaf.times is Times.EXACTLY:
        often = f" exactly {_times(leaf.count)}"
    elif leaf.count > 1:
        often = f" at least {_times(leaf.count)}"
    where = "".join(f"{' and' if place else ' where'} {_say_value_leaf(each)}" for place, each in enumerate(leaf.where))
    within = "" if leaf.within is None else f" in the past {say_span(leaf.within)}"
    return f"{did} {leaf.type}{often}{where}{within}"


def _times(count: int) -> str:
    return "once" if count == 1 else "twice" if count == 2 else f"{count} times"


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


def _say(part: Node | AnyLeaf) -> Iterator[Piece]:
    if not isinstance(part, Node):
        yield (_INTRODUCED[type(part)](part), False)
        yield (say_leaf(part), True)
        return
    if part.match == "none":
        yield ("for whom none of these holds: (" if len(part.children) > 1 else "for whom this does not hold: (", False)
    for place, child in enumerate(part.children):
        if place:
            yield (" and " if part.match == "all" else " or ", False)
        nested = isinstance(child, Node) and child.match != "none" and len(child.children) > 1
        yield from [("(", False), *_say(child), (")", False)] if nested else _say(child)
    if part.match == "none":
        yield (")", False)


_INTRODUCED: dict[type, Callable[[Any], str]] = {
    Leaf: lambda leaf: "for whom " if _asks_items(leaf) else "whose ",
    GroupLeaf: lambda leaf: "who ",
    EventLeaf: lambda leaf: "who ",
}


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
