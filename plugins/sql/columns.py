"""The SQL of column rules: rules over the same rows share one subselect that gives one row per key.

A subselect has the columns `_k` (the key), `_n` (how many rows the key has) and `_v0`, `_v1`, ... (one per
rule): names that no query of a person means by accident. Rules
that take one row (exact, most recent, least recent) number the rows of each key; all others group by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from plugins.contracts import ColumnAsk, Filter
from plugins.sql.errors import Refused

AGGREGATES: Mapping[str, str] = {
    "count": "count({})",
    "sum": "coalesce(sum({}), 0)",
    "average": "avg({})",
    "min": "min({})",
    "max": "max({})",
}
ONE_ROW = frozenset({"exact", "most_recent", "least_recent"})
ZERO_WITHOUT_ROWS = frozenset({"count", "sum"})

_COMPARISONS: Mapping[str, str] = {"eq": "=", "ne": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


class Words(Protocol):
    """What building column SQL needs from a dialect."""

    placeholder: ClassVar[str]
    text_type: ClassVar[str]  # what a column is cast to before text is looked for in it

    def quote(self, name: str) -> str: ...
    def quote_table(self, name: str) -> str: ...

    sorts_in_aggregates: ClassVar[bool]  # whether an aggregate may hold an ORDER BY

    def is_key(self, column: str, type_: str) -> str: ...
    def array_of(self, column: str, order: str) -> str: ...
    def filter_value(self, value: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Group:
    """Column rules over the same rows of one table, answered by one subselect."""

    table: str
    key_column: str
    key: str
    key_type: str
    filters: tuple[Filter, ...]
    sort_column: str
    descending: bool
    one_row: bool
    asks: tuple[ColumnAsk, ...]


def group_asks(asks: Sequence[ColumnAsk]) -> list[Group]:
    """The asks put together where one subselect can answer them."""
    together: dict[str, list[ColumnAsk]] = {}
    for ask in asks:
        shape = (ask.table, ask.key_column, ask.key, ask.key_type, ask.filters, *_order(ask), _takes_one_row(ask))
        together.setdefault(repr(shape), []).append(ask)
    return [
        Group(
            table=members[0].table,
            key_column=members[0].key_column,
            key=members[0].key,
            key_type=members[0].key_type,
            filters=members[0].filters,
            sort_column=_order(members[0])[0],
            descending=_order(members[0])[1],
            one_row=_takes_one_row(members[0]),
            asks=tuple(members),
        )
        for members in together.values()
    ]


def check_ask(ask: ColumnAsk) -> None:
    """Raise `Refused` when the ask cannot be made into SQL, with the reason."""
    if ask.aggregation not in ONE_ROW and ask.aggregation not in AGGREGATES:
        raise Refused(f"“{ask.aggregation}” is not an aggregation.")
    if ask.aggregation in ("most_recent", "least_recent") and not ask.sort_column:
        raise Refused("Choose the column that says which row is the most recent.")
    if not ask.column and ask.aggregation != "count":
        raise Refused("Choose a column.")


def group_sql(group: Group, words: Words, key_type: str) -> tuple[str, list[Any]]:
    """The subselect of a group, and the values of its filters; the keys' own parameter comes before them."""
    key = words.quote(group.key_column)
    conditions = [words.is_key(key, key_type)]
    values: list[Any] = []
    for condition in group.filters:
        sql, bound = filter_sql(condition, words)
        conditions.append(sql)
        values.extend(bound)
    source = f"from {words.quote_table(group.table)} where {' and '.join(conditions)}"
    build = _one_row_sql if group.one_row else _grouped_sql
    return build(group, words, key, source), values


def filter_sql(condition: Filter, words: Words) -> tuple[str, list[Any]]:
    """One filter as SQL with its values. Negative filters let rows without a value pass, as people mean them."""
    column, place = words.quote(condition.column), words.placeholder
    match condition.operator:
        case "exists":
            return f"{column} is not null", []
        case "not_exists":
            return f"{column} is null", []
        case "in":
            items = [words.filter_value(item) for item in condition.value or ()]
            return (f"{column} in ({', '.join([place] * len(items))})" if items else "1 = 0"), items
        case "contains" | "not_contains":
            text = str(condition.value).replace("!", "!!").replace("%", "!%").replace("_", "!_").lower()
            like = f"lower(cast({column} as {words.text_type})) like {place} escape '!'"
            negative = condition.operator == "not_contains"
            return (f"({column} is null or not {like})" if negative else like), [f"%{text}%"]
        case "ne":
            return f"({column} is null or {column} <> {place})", [words.filter_value(condition.value)]
        case operator if operator in _COMPARISONS:
            return f"{column} {_COMPARISONS[operator]} {place}", [words.filter_value(condition.value)]
        case operator:
            raise Refused(f"“{operator}” is not an operator for a filter.")


def _takes_one_row(ask: ColumnAsk) -> bool:
    return ask.aggregation in ONE_ROW and not ask.is_array


def _order(ask: ColumnAsk) -> tuple[str, bool]:
    """The column the rows are sorted by, where the aggregation asks for an order, and whether downwards."""
    ordered = ask.aggregation in ("most_recent", "least_recent")
    return (ask.sort_column if ordered else "", ask.aggregation == "most_recent")


def _order_sql(group: Group, words: Words) -> str:
    if not group.sort_column:
        return ""
    column = words.quote(group.sort_column)
    return f"order by {column} is null, {column}{' desc' if group.descending else ''}"


def _one_row_sql(group: Group, words: Words, key: str, source: str) -> str:
    order = _order_sql(group, words)
    columns = "".join(f", {words.quote(ask.column)} as _v{place}" for place, ask in enumerate(group.asks))
    names = "".join(f", _v{place}" for place in range(len(group.asks)))
    rows = "1" if order else f"count(*) over (partition by {key})"
    numbered = f"row_number() over (partition by {key}{' ' + order if order else ''})"
    inner = f"select {key} as _k, {rows} as _n, {numbered} as _r{columns} {source}"
    return f"select _k, _n{names} from ({inner}) f where _r = 1"


def _grouped_sql(group: Group, words: Words, key: str, source: str) -> str:
    order = _order_sql(group, words)
    columns = "".join(f", {_aggregate_sql(ask, words, order)} as _v{place}" for place, ask in enumerate(group.asks))
    if order and not words.sorts_in_aggregates:
        source = f"from (select * {source} {order.replace('order by', f'order by {key},', 1)}) s"
        columns = columns.replace(f" {order}", "")
    return f"select {key} as _k, count(*) as _n{columns} {source} group by {key}"


def _aggregate_sql(ask: ColumnAsk, words: Words, order: str) -> str:
    column = words.quote(ask.column) if ask.column else "*"
    if ask.aggregation in ONE_ROW:
        return words.array_of(column, order)
    return AGGREGATES[ask.aggregation].format(column)
