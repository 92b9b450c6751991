"""Turns a rule tree into one SQL boolean over a profile row `p`.

The same tree serves counts of everyone, the recalculation of a range and the evaluation of a batch: `Scope` says which,
so that what it reads besides the row (events, members of other groups) is read for these people alone. The SQL never
raises an error. A tree is compiled once for a scope and bound to a time, and to the scope's people, at each use:

    compiled = compile_tree(node, zone, scope=Scope.BATCH)
    cursor.execute(sql.SQL("select guid from profile p where {}").format(compiled.sql), compiled.bind(now, ids=ids))
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum, auto
from typing import Any
from zoneinfo import ZoneInfo

from psycopg2 import sql

from groups.moving_time import Boundary
from groups.operators import Asked, Form, Fragment
from groups.tree import AnyLeaf, EventLeaf, GroupLeaf, Items, Leaf, Node, Source, Times
from profiles.types import parse_date


class Scope(Enum):
    """For whom a tree is evaluated in one statement."""

    EVERYONE = auto()
    RANGE = auto()  # the profiles in (after, until]
    BATCH = auto()  # those of a list; the statement begins with HAPPENED where the tree reads events
    EACH = auto()  # the few that a statement has found itself, each by its keys


class _Given(StrEnum):
    """A parameter that the caller of `bind` gives."""

    IDS = "ids"
    AFTER = "after"
    UNTIL = "until"


# What everyone of a batch did, found once for all leaves and groups. Its parameters are the ids and the types.
HAPPENED = (
    "with asked(id) as (select unnest(%s::uuid[])),"
    " part(id, whose) as (select id, id from asked union all"
    "  select t.guid, t.merged_into from asked join profile t on t.merged_into = asked.id),"
    " happened as materialized (select part.whose as profile_id, e.type, e.occurred_at, e.payload from part"
    " join event e on e.profile_id = part.id where e.type = any(%s)) "
)
# The same of everyone. What someone did before they became part of another, that other did: these few events come
# again under the other's id, so the many are read as if there were no merges.
_EVENTS = (
    "(select profile_id, type, occurred_at, payload from event"
    " union all select t.merged_into, m.type, m.occurred_at, m.payload from profile t"
    " join event m on m.profile_id = t.guid where t.merged_into is not null)"
)

_EACH_TEXT = "jsonb_array_elements_text"
_EACH_JSON = "jsonb_array_elements"
_IS_NUMBER = r"^[+-]?\d{1,250}(\.\d{1,250})?([eE][+-]?\d{1,3})?$"
_FIELDS = {
    "created_at": """to_char(p.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
    "updated_at": """to_char(p.updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
    "guid": "p.guid::text",
}
_COMPARISONS = {Times.AT_LEAST: ">=", Times.EXACTLY: "="}


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

    def bind(self, now: datetime, **given: Any) -> list[Any]:
        """The parameters at `now`, and for the people of the scope: `ids` (an array's text), or `after` and `until`.

        Times become text of the width in which dates are stored.
        """
        return [self._bound(param, now, given) for param in self.params]

    def _bound(self, param: Any, now: datetime, given: dict[str, Any]) -> Any:
        if isinstance(param, _Given):
            return given[param]
        at = param.at(now, self.zone) if isinstance(param, Boundary) else param
        return parse_date(at) if isinstance(at, datetime) else at


def compile_tree(node: Node, zone: ZoneInfo, *, scope: Scope = Scope.EVERYONE) -> Compiled:
    """The boolean of a tree; days mean days in `zone`."""
    fragment = _compile(node, zone, scope)
    return Compiled(f"({fragment.sql}) is true", fragment.params, zone)


def compile_leaf(leaf: AnyLeaf, zone: ZoneInfo, *, scope: Scope = Scope.EVERYONE) -> Compiled:
    """The boolean of one leaf alone."""
    return compile_tree(Node("all", (leaf,)), zone, scope=scope)


def compile_conditions(conditions: Iterable[Leaf], zone: ZoneInfo) -> Compiled:
    """The boolean of conditions on a payload, all of which have to hold, over an event `e`."""
    fragment = _joined(" and ", [Fragment("true"), *(_compile_value(each, zone) for each in conditions)])
    return Compiled(f"({fragment.sql}) is true", fragment.params, zone)


def _compile(part: Node | AnyLeaf, zone: ZoneInfo, scope: Scope) -> Fragment:
    match part:
        case Node():
            word = " and " if part.match == "all" else " or "
            joined = _joined(word, [_compile(child, zone, scope) for child in part.children])
            return joined.join("({} is not true)") if part.match == "none" else joined
        case Leaf():
            return _compile_value(part, zone)
        case GroupLeaf():
            return _compile_group(part, scope)
        case EventLeaf():
            return _compile_event(part, zone, scope)


def _joined(word: str, parts: Iterable[Fragment]) -> Fragment:
    listed = list(parts)
    return Fragment(f"({word.join(part.sql for part in listed)})", tuple(p for part in listed for p in part.params))


# ---------------------------------------------------------------- values


def _compile_value(leaf: Leaf, zone: ZoneInfo) -> Fragment:
    operator = leaf.operator
    asked = Asked(leaf.argument, leaf.type, leaf.case_sensitive, zone)
    whole = _whole(leaf)
    if operator.form is Form.WHOLE:
        holds = operator.build(whole, asked)
    elif leaf.is_array:
        holds = _items(leaf, whole, operator.build(Fragment("item.value"), asked))
    else:
        holds = operator.build(_single(leaf), asked)
    if not operator.is_negative:
        return holds
    if leaf.include_null:
        return holds.join("({}) is not true")
    return whole.join("({} is not null and ({}) is not true)", holds)


def _whole(leaf: Leaf) -> Fragment:
    """Something that is null where there is no value; of a property, all of it."""
    if leaf.source is Source.PROPERTY:
        return Fragment("(p.properties -> %s)", (leaf.key,))
    return Fragment(_FIELDS[leaf.key]) if leaf.source is Source.PROFILE else Fragment("(e.payload ->> %s)", (leaf.key,))


def _single(leaf: Leaf) -> Fragment:
    """One value in the form in which the operator's SQL sees it."""
    if leaf.source is Source.PROPERTY:
        arrow = "->>" if leaf.operator.form is Form.TEXT else "->"
        return Fragment(f"(p.properties {arrow} %s)", (leaf.key,))
    whole = _whole(leaf)
    if leaf.source is Source.PROFILE or leaf.operator.form is Form.TEXT:
        return whole
    if leaf.type == "boolean":
        return whole.join("(case lower({}) when 'true' then 'true'::jsonb when 'false' then 'false'::jsonb end)")
    number = Fragment("%s", (_IS_NUMBER,))
    return whole.join("(case when {} ~ {} then to_jsonb({}::numeric) end)", number, whole)


def _items(leaf: Leaf, whole: Fragment, holds: Fragment) -> Fragment:
    """Whether any item fulfils a condition on `item.value`, or all do and there is one; else there are no items."""
    each = _EACH_TEXT if leaf.operator.form is Form.TEXT else _EACH_JSON
    items = whole.join("case when jsonb_typeof({}) = 'array' then {} end", whole)
    if leaf.items is Items.ANY:
        return items.join(f"exists (select from {each}({{}}) as item(value) where {{}})", holds)
    return holds.join(f"(select bool_and(({{}}) is true) from {each}({{}}) as item(value))", items)


# ---------------------------------------------------------------- sets of people


def _compile_group(leaf: GroupLeaf, scope: Scope) -> Fragment:
    group = Fragment("%s", (leaf.group_id,))
    holds = group.join(
        "p.guid in (select m.profile_id from group_member m where m.group_id = {}{})", _limit("m.profile_id", scope)
    )
    return holds if leaf.is_in else holds.join("(not {})")


def _compile_event(leaf: EventLeaf, zone: ZoneInfo, scope: Scope) -> Fragment:
    """At most so often is not more often; so nobody is counted who never did it."""
    is_rare = leaf.times is Times.AT_MOST or leaf.count == 0
    count = leaf.count + 1 if leaf.times is Times.AT_MOST else max(leaf.count, 1)
    comparison = ">=" if is_rare else _COMPARISONS[leaf.times]
    done = _done(leaf, zone, scope).join(
        f"p.guid in (select e.profile_id from {{}} group by e.profile_id having count(*) {comparison} {{}})",
        Fragment("%s", (count,)),
    )
    return done.join("(not {})") if is_rare else done


def _done(leaf: EventLeaf, zone: ZoneInfo, scope: Scope, *, since: bool = True) -> Fragment:
    """The events that a leaf counts: what follows FROM. Without `since` also those before its window."""
    asked = [Fragment("e.type = %s", (leaf.type,))]
    if leaf.within is not None and since:
        begin, now = leaf.boundaries
        asked.append(Fragment("e.occurred_at > %s and e.occurred_at <= %s", (begin, now)))
    asked += (_compile_value(each, zone) for each in leaf.where)  # last, since reading JSON is what costs
    source = "happened e" if scope is Scope.BATCH else f"{_EVENTS} e"
    limit = Fragment("") if scope is Scope.BATCH else _limit("e.profile_id", scope)
    return _joined(" and ", asked).join(f"{source} where e.profile_id is not null and {{}}{{}}", limit)


def compile_times(leaf: EventLeaf, zone: ZoneInfo, *, most: int) -> Compiled:
    """When someone of a batch of one did what a leaf counts, the latest `most` times, rising; with times ahead."""
    done = _done(leaf, zone, Scope.BATCH, since=False).join(
        "(select array(select occurred_at from (select e.occurred_at from {} order by 1 desc limit {}) t order by 1))",
        Fragment("%s", (most,)),
    )
    return Compiled(done.sql, done.params, zone)


def _limit(column: str, scope: Scope) -> Fragment:
    """To the people of the scope."""
    if scope is Scope.BATCH:
        return Fragment(f" and {column} = any(%s::uuid[])", (_Given.IDS,))
    if scope is Scope.RANGE:
        return Fragment(f" and {column} > %s and {column} <= %s", (_Given.AFTER, _Given.UNTIL))
    if scope is Scope.EACH:
        return Fragment(f" and {column} = p.guid")
    return Fragment("")
