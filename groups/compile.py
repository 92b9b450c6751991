"""Turns a rule tree into one SQL boolean over a profile row `p`, and finds its moving boundaries.

The same compiled tree serves the full recalculation, the evaluation of a batch and the sweep of time. The SQL never
raises an error and never reads anything but the row. A tree is compiled once and bound to a time at each use:

    compiled = compile_tree(node, zone)
    cursor.execute(sql.SQL("select guid from profile p where {}").format(compiled.sql), compiled.bind(now))
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from psycopg2 import sql

from groups.moving_time import Boundary
from groups.operators import Asked, Form, Fragment
from groups.tree import Leaf, Node
from profiles.types import parse_date

_EACH_TEXT = "jsonb_array_elements_text"
_EACH_JSON = "jsonb_array_elements"


@dataclass(frozen=True, slots=True)
class Compiled:
    """A boolean over profile `p`, never null, as text with `%s` for its parameters."""

    text: str
    params: tuple[Any, ...]
    zone: ZoneInfo

    @property
    def sql(self) -> sql.SQL:
        """The boolean, to be put into a statement."""
        return sql.SQL(self.text)

    def bind(self, now: datetime) -> list[Any]:
        """The parameters at `now`; times become text of the width in which dates are stored."""
        return [self._bound(param, now) for param in self.params]

    def _bound(self, param: Any, now: datetime) -> Any:
        at = param.at(now, self.zone) if isinstance(param, Boundary) else param
        return parse_date(at) if isinstance(at, datetime) else at


def compile_tree(node: Node, zone: ZoneInfo) -> Compiled:
    """The boolean of a tree; days mean days in `zone`."""
    fragment = _compile(node, zone)
    return Compiled(f"({fragment.sql}) is true", fragment.params, zone)


def compile_leaf(leaf: Leaf, zone: ZoneInfo) -> Compiled:
    """The boolean of one leaf alone."""
    return compile_tree(Node("all", (leaf,)), zone)


def boundaries(leaf: Leaf) -> tuple[Boundary, ...]:
    """What a relative leaf compares its value with; its answer changes only where a value passes one of them."""
    return tuple(Boundary(direction, leaf.argument) for direction in leaf.operator.directions)


def _compile(part: Node | Leaf, zone: ZoneInfo) -> Fragment:
    if isinstance(part, Node):
        word = " and " if part.match == "all" else " or "
        return _joined(word, [_compile(child, zone) for child in part.children])
    return _compile_leaf(part, zone)


def _joined(word: str, parts: Iterable[Fragment]) -> Fragment:
    listed = list(parts)
    return Fragment(f"({word.join(part.sql for part in listed)})", tuple(p for part in listed for p in part.params))


def _compile_leaf(leaf: Leaf, zone: ZoneInfo) -> Fragment:
    operator = leaf.operator
    asked = Asked(leaf.argument, leaf.type, leaf.case_sensitive, zone)
    whole = Fragment("(p.properties -> %s)", (leaf.key,))
    if operator.form is Form.WHOLE:
        holds = operator.build(whole, asked)
    elif leaf.is_array:
        holds = _any_item(leaf, whole, operator.build(Fragment("item.value"), asked))
    else:
        arrow = "->>" if operator.form is Form.TEXT else "->"
        holds = operator.build(Fragment(f"(p.properties {arrow} %s)", (leaf.key,)), asked)
    if not operator.is_negative:
        return holds
    if leaf.include_null:
        return holds.join("({}) is not true")
    return whole.join("({} is not null and ({}) is not true)", holds)


def _any_item(leaf: Leaf, whole: Fragment, holds: Fragment) -> Fragment:
    """Whether any item fulfils a condition on `item.value`; what is not an array has no items."""
    each = _EACH_TEXT if leaf.operator.form is Form.TEXT else _EACH_JSON
    items = whole.join("case when jsonb_typeof({}) = 'array' then {} end", whole)
    return items.join(f"exists (select from {each}({{}}) as item(value) where {{}})", holds)
