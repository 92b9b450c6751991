"""Rule trees as frozen objects: what a calculated group asks. `groups/reading.py` makes them of a group's JSON.

A node matches where all, any or none of its children do. A leaf asks for a value (a property, or something of the
profile itself), for membership of another group, or for what someone did. Everyone else works on these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from groups.moving_time import Boundary, Span
from groups.operators import Operator


class Source(StrEnum):
    """Where a leaf's value stands."""

    PROPERTY = "property"
    PROFILE = "profile"  # a column of the profile itself
    PAYLOAD = "payload"  # of an event: a condition of an EventLeaf


class Items(StrEnum):
    """How many items of an array have to fulfil a condition."""

    ANY = "any"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A question about one value. `path` is its place in the tree, such as "0" or "0.2"."""

    path: str
    source: Source
    rule_id: int | None  # of a property
    key: str
    label: str
    type: str
    is_array: bool
    operator: Operator
    argument: Any  # by operator.argument: None, str, typed value, tuple of values, Span
    include_null: bool
    case_sensitive: bool
    items: Items

    @property
    def boundaries(self) -> tuple[Boundary, ...]:
        """What a relative leaf compares its value with; its answer changes only where a value passes one of them."""
        return tuple(Boundary(direction, self.argument) for direction in self.operator.directions)


@dataclass(frozen=True, slots=True)
class GroupLeaf:
    """Whether someone is in another group, or is not."""

    path: str
    group_id: int
    name: str
    is_in: bool

    @property
    def boundaries(self) -> tuple[Boundary, ...]:
        """None: who is in the other group follows from its own rules."""
        return ()


class Times(StrEnum):
    """How often something was done, compared with a number."""

    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    EXACTLY = "exactly"


@dataclass(frozen=True, slots=True)
class EventLeaf:
    """How often someone did something, within a length of time before now or ever, under conditions on the payload."""

    path: str
    type: str
    times: Times
    count: int
    within: Span | None
    where: tuple[Leaf, ...]

    @property
    def boundaries(self) -> tuple[Boundary, ...]:
        """The beginning of the window and now, as an event may be said to lie ahead."""
        return () if self.within is None else (Boundary(-1, self.within), Boundary(0, self.within))


AnyLeaf = Leaf | GroupLeaf | EventLeaf


@dataclass(frozen=True, slots=True)
class Node:
    """All, any or none of its children. The path of the root is ""."""

    match: str
    children: tuple[Node | AnyLeaf, ...]
    path: str = ""

    def leaves(self) -> Iterator[AnyLeaf]:
        """Every leaf below, in order."""
        for child in self.children:
            if isinstance(child, Node):
                yield from child.leaves()
            else:
                yield child

    def holds(self, answers: dict[str, bool]) -> bool:
        """Whether it matches, given the answers of its leaves by path."""
        each = (child.holds(answers) if isinstance(child, Node) else answers[child.path] for child in self.children)
        if self.match == "all":
            return all(each)
        return any(each) if self.match == "any" else not any(each)

    @property
    def group_ids(self) -> frozenset[int]:
        """The groups that it reads."""
        return frozenset(leaf.group_id for leaf in self.leaves() if isinstance(leaf, GroupLeaf))

    @property
    def event_types(self) -> frozenset[str]:
        """The types of events that it reads."""
        return frozenset(leaf.type for leaf in self.leaves() if isinstance(leaf, EventLeaf))
