"""Says a rule tree in one sentence, from the sentences of the operators: each piece in the viewer's language."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any

from django.utils.translation import gettext, ngettext, ngettext_lazy

from groups.moving_time import Span
from groups.operators import Argument, Form
from groups.tree import AnyLeaf, EventLeaf, GroupLeaf, Items, Leaf, Node, Source, Times
from profiles.types import TYPES

Piece = tuple[str, bool]

_SPANS = {
    "hours": ngettext_lazy("%(count)s hour", "%(count)s hours", "count"),
    "days": ngettext_lazy("%(count)s day", "%(count)s days", "count"),
    "weeks": ngettext_lazy("%(count)s week", "%(count)s weeks", "count"),
    "months": ngettext_lazy("%(count)s month", "%(count)s months", "count"),
    "quarters": ngettext_lazy("%(count)s quarter", "%(count)s quarters", "count"),
    "years": ngettext_lazy("%(count)s year", "%(count)s years", "count"),
}


def say_tree(node: Node) -> str:
    """Such as: People whose Lifetime value is greater than 0 and whose Last purchase is more than 2 months ago."""
    return "".join(text for text, _ in say_pieces(node))


def say_pieces(node: Node) -> tuple[Piece, ...]:
    """The sentence in pieces of text; True marks what a leaf asks."""
    return ((f"{gettext('People')} ", False), *_say(node), (".", False))


def say_node(part: Node | AnyLeaf) -> str:
    """What a part of a tree asks, without the people: Lifetime value is greater than 0."""
    return "".join(text for text, _ in _say(part)) if isinstance(part, Node) else say_leaf(part)


def say_leaf(leaf: AnyLeaf) -> str:
    """What a leaf asks, such as: Lifetime value is greater than 0; is in VIPs; did Purchase at least twice."""
    match leaf:
        case Leaf():
            return _say_value_leaf(leaf)
        case GroupLeaf():
            text = gettext("are in %(group)s") if leaf.is_in else gettext("are not in %(group)s")
            return text % {"group": leaf.name or gettext("group %(id)s") % {"id": leaf.group_id}}
        case EventLeaf():
            return _say_event(leaf)


def _say_value_leaf(leaf: Leaf) -> str:
    operator, name = leaf.operator, say_name(leaf)
    template = operator.sentence
    if _asks_items(leaf):
        name = _say_items(leaf) % {"property": name}
        template = (operator.negated or operator).sentence
    said = gettext(template).format(name=name, value=say_argument(leaf))
    if operator.is_negative and not leaf.include_null and not _asks_items(leaf):
        said = gettext("%(rule)s (and is known)") % {"rule": said}
    return said


def _say_items(leaf: Leaf) -> str:
    if leaf.operator.negated:
        return gettext("none of %(property)s")
    return gettext("every one of %(property)s") if leaf.items is Items.ALL else gettext("one of %(property)s")


def say_name(leaf: Leaf) -> str:
    """What a leaf asks about: a property as the team calls it, a field of the profile in the viewer's language."""
    return gettext(leaf.label) if leaf.source is Source.PROFILE else leaf.label


def _say_event(leaf: EventLeaf) -> str:
    said = _say_how_often(leaf) % {"event": leaf.type, "times": _times(leaf.count)}
    if leaf.where:
        conditions = f" {gettext('and')} ".join(_say_value_leaf(each) for each in leaf.where)
        said = gettext("%(did)s where %(conditions)s") % {"did": said, "conditions": conditions}
    if leaf.within is not None:
        said = gettext("%(did)s in the past %(span)s") % {"did": said, "span": say_span(leaf.within)}
    return said


def _say_how_often(leaf: EventLeaf) -> str:
    if leaf.times is Times.AT_MOST:
        return gettext("did not do %(event)s") if leaf.count == 0 else gettext("did %(event)s at most %(times)s")
    if leaf.times is Times.EXACTLY:
        return gettext("did %(event)s exactly %(times)s")
    return gettext("did %(event)s at least %(times)s") if leaf.count > 1 else gettext("did %(event)s")


def _times(count: int) -> str:
    if count in (1, 2):
        return gettext("once") if count == 1 else gettext("twice")
    return ngettext("%(count)s time", "%(count)s times", count) % {"count": count}


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
            return f" {gettext('and')} ".join(_say_value(each, leaf.type) for each in given)
        case _:
            return _say_value(given, leaf.type)


def say_span(span: Span) -> str:
    """Such as: 7 days, 1 month."""
    return _SPANS[span.unit] % {"count": span.amount}


def _say(part: Node | AnyLeaf) -> Iterator[Piece]:
    if not isinstance(part, Node):
        yield (_INTRODUCED[type(part)](part), False)
        yield (say_leaf(part), True)
        return
    if part.match == "none":
        several = len(part.children) > 1
        said = gettext("for whom none of these holds:") if several else gettext("for whom this does not hold:")
        yield (f"{said} (", False)
    for place, child in enumerate(part.children):
        if place:
            yield (f" {gettext('and') if part.match == 'all' else gettext('or')} ", False)
        nested = isinstance(child, Node) and child.match != "none" and len(child.children) > 1
        yield from [("(", False), *_say(child), (")", False)] if nested else _say(child)
    if part.match == "none":
        yield (")", False)


_INTRODUCED: dict[type, Callable[[Any], str]] = {
    Leaf: lambda leaf: f"{gettext('for whom') if _asks_items(leaf) else gettext('whose')} ",
    GroupLeaf: lambda leaf: f"{gettext('who')} ",
    EventLeaf: lambda leaf: f"{gettext('who')} ",
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
