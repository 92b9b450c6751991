"""Values of many rules for a batch of profiles, in one statement.

The statement selects from a key table, one row per profile. A query rule is a subselect in its select list whose
variables are columns of the key table; column rules are joined subselects (see `columns`). A rule that cannot be
wrapped is asked by a UNION ALL of single queries with bound values, and where that fails too, one query by one. When
the statement fails, each rule is asked alone, so that the error falls on the rule that caused it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, ClassVar

from core.lib.templates import Variable
from plugins.base import RetrievesProperties
from plugins.contracts import Answer, ColumnAsk, QueryAsk, Reject, Retrieval
from plugins.sql.app import SqlApp
from plugins.sql.columns import ZERO_WITHOUT_ROWS, Group, check_ask, group_asks, group_sql
from plugins.sql.errors import RefusalKind, Refused, TooSlow
from plugins.sql.keys import KeyColumn, KeyType
from plugins.sql.queries import KEYS, Shape, bind_template, check_select

TOGETHER, UNION, ONE_BY_ONE = "one statement", "union all", "one by one"
UNION_SIZE = 100  # profiles per UNION ALL statement

Ask = QueryAsk | ColumnAsk
Profiles = Sequence[Mapping[str, Any]]


class CannotWrap(Exception):
    """This dialect cannot put the query into a larger statement; the text says why, for the rule's page."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A query rule as an item of a select list: its one value, or its rows as an array."""

    sql: str
    is_value: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """What a statement asks for one or more rules: select-list items, perhaps a join, and how to read them."""

    columns: tuple[str, ...]
    join: str
    parameters: tuple[Any, ...]
    key: KeyColumn | None
    read: Callable[[Sequence[Sequence[Any]], Profiles], list[Answer]]


class SqlRetrieves(SqlApp, RetrievesProperties):
    """The retrieving half of a SQL plugin."""

    key_types: ClassVar[Mapping[str, KeyType]]  # by value type
    text_type: ClassVar[str] = "text"
    sorts_in_aggregates: ClassVar[bool] = True

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._ways: dict[str, tuple[str, str]] = {}
        self._column_types: dict[tuple[str, str, str], KeyType] = {}

    # ------------------------------------------------------------ what a dialect must say

    @abstractmethod
    def key_table(self, columns: Sequence[KeyColumn]) -> str:
        """A FROM item `_keys` with the columns `_i` and those given, from the parameters of `key_parameters`."""

    @abstractmethod
    def key_parameters(self, columns: Sequence[KeyColumn], values: Sequence[Sequence[Any]]) -> list[Any]:
        """The parameters of the key table; `values` is aligned with `columns`. Without columns: one of its length."""

    @abstractmethod
    def is_key(self, column: str, type_: str) -> str:
        """The condition that a column is one of the keys in one parameter."""

    @abstractmethod
    def key_parameter(self, type_: KeyType, values: Sequence[Any]) -> Any:
        """The parameter of `is_key`."""

    @abstractmethod
    def rows_of(self, sql: str, shape: Shape, limit: int | None) -> str:
        """An expression that gives the rows of a one-column query as an array. Raises `CannotWrap`."""

    @abstractmethod
    def read_rows(self, value: Any) -> list[Any]:
        """The list in what `rows_of` or `array_of` gave."""

    @abstractmethod
    def array_of(self, column: str, order: str) -> str:
        """An aggregate that gives a column's values as an array."""

    @abstractmethod
    def find_column_type(self, table: str, column: str, value_type: str) -> KeyType:
        """The key type that compares with a column by its index. Raises `Refused` when the column is missing."""

    def bind_value(self, value: Any, *, quoted: bool) -> Any:
        """A property's value as the driver takes it, for a query of its own."""
        return value

    def filter_value(self, value: Any) -> Any:
        """A filter's value as the driver takes it."""
        return value

    # ------------------------------------------------------------ the capability

    def retrieve(self, asks: Sequence[Ask], profiles: Profiles) -> Retrieval:
        self.take_statements()
        answers: dict[str, Answer] = {}
        together: list[Ask] = []
        for ask in asks:
            if self.way_of(ask)[0] == TOGETHER:
                together.append(ask)
            else:
                answers[ask.rule] = self._ask_alone(ask, profiles)
        if profiles and together:
            try:
                answers.update(self._ask_together(together, profiles))
            except (Refused, TooSlow):
                answers.update((ask.rule, self._ask_alone(ask, profiles)) for ask in together)
        return Retrieval([answers.get(ask.rule, Answer(ask.rule)) for ask in asks], self.take_statements())

    def way_of(self, ask: Ask) -> tuple[str, str]:
        """How a rule is asked (`TOGETHER`, `UNION`, `ONE_BY_ONE`), and the reason where it is not the first."""
        if isinstance(ask, ColumnAsk):
            return TOGETHER, ""
        if ask.template not in self._ways:
            try:
                self._express(ask, {})
                self._ways[ask.template] = (TOGETHER, "")
            except CannotWrap as reason:
                self._ways[ask.template] = (UNION, str(reason))
            except Reject:
                return TOGETHER, ""  # asking it gives the error
        return self._ways[ask.template]

    def check_query(self, template: str, variables: Mapping[str, str]) -> None:
        ask = QueryAsk(rule="check", template=template, variables=variables)
        try:
            if self.way_of(ask)[0] == TOGETHER:
                self._ask_together([ask], [{}])
            else:
                sql, keys = self._single(ask)
                self.query(f"select * from ({sql}) t limit 0", [None] * len(keys))
        except Refused as error:
            raise Reject(error.reason) from None

    # ------------------------------------------------------------ together

    def _ask_together(self, asks: Sequence[Ask], profiles: Profiles) -> dict[str, Answer]:
        keys: dict[tuple[str, str], KeyColumn] = {}
        parts = [self._query_part(ask, keys) for ask in asks if isinstance(ask, QueryAsk)]
        groups = group_asks([ask for ask in asks if isinstance(ask, ColumnAsk)])
        parts += [self._group_part(group, place, keys) for place, group in enumerate(groups)]
        columns = list(keys.values())
        values = {column.name: column.values(profiles) for column in columns}
        items = ", ".join(item for part in parts for item in part.columns)
        joins = " ".join(part.join for part in parts if part.join)
        sql = f"select _keys._i, {items} from {self.key_table(columns)} {joins}".rstrip()
        lists = [values[column.name] for column in columns] or [[None] * len(profiles)]
        parameters = self.key_parameters(columns, lists)
        for part in parts:
            if part.key is not None:
                found = [value for value in dict.fromkeys(values[part.key.name]) if value is not None]
                parameters += [self.key_parameter(part.key.type, found), *part.parameters]
        _, rows = self.query(sql, parameters)
        if len(rows) != len(profiles):
            raise Refused("The query changes the number of rows of the query around it.")
        rows.sort(key=itemgetter(0))
        answers: dict[str, Answer] = {}
        given = list(zip(*rows, strict=True))
        start = 1
        for part in parts:
            width = len(part.columns)
            answers.update((answer.rule, answer) for answer in part.read(given[start : start + width], profiles))
            start += width
        return answers

    def _query_part(self, ask: QueryAsk, keys: dict[tuple[str, str], KeyColumn]) -> _Part:
        try:
            expression = self._express(ask, keys)
        except Reject as error:
            raise Refused(error.reason) from None

        def read(columns: Sequence[Sequence[Any]], _profiles: Profiles) -> list[Answer]:
            return [self._read_value(ask, columns[0]) if expression.is_value else self._read_rows(ask, columns[0])]

        return _Part((expression.sql,), "", (), None, read)

    def _express(self, ask: QueryAsk, keys: dict[tuple[str, str], KeyColumn]) -> Expression:
        """The select-list item of a query rule; adds the key columns it reads. Raises `Reject`, `CannotWrap`."""
        used: list[KeyColumn] = []

        def render(variable: Variable, _quoted: bool) -> str:
            column = _key_column(keys, variable.key, self._variable_type(ask, variable))
            used.append(column)
            return f"{KEYS}.{column.name}"

        text = bind_template(ask.template, self.dialect, render, escape=self.escape)
        shape = self._check(text)
        if shape.outer_aggregate:
            raise CannotWrap("The query aggregates a variable.")
        limit = None if ask.is_array else 2
        sql = f"({text})" if shape.one_row else self.rows_of(text, shape, limit)
        if used:
            present = " and ".join(dict.fromkeys(f"_keys.{column.name} is not null" for column in used))
            sql = f"case when {present} then {sql} end"
        return Expression(sql, is_value=shape.one_row)

    def _group_part(self, group: Group, place: int, keys: dict[tuple[str, str], KeyColumn]) -> _Part:
        for ask in group.asks:
            check_ask(ask)
        type_ = self._column_type(group.table, group.key_column, group.key_type)
        column = _key_column(keys, group.key, type_)
        sql, values = group_sql(group, self, type_.sql)
        names = (f"_g{place}._n", *(f"_g{place}._v{position}" for position in range(len(group.asks))))
        join = f"left join ({sql}) _g{place} on _g{place}._k = _keys.{column.name}"

        def read(columns: Sequence[Sequence[Any]], profiles: Profiles) -> list[Answer]:
            asks = zip(group.asks, columns[1:], strict=True)
            return [self._read_column(ask, columns[0], values, profiles) for ask, values in asks]

        return _Part(names, join, tuple(values), column, read)

    # ------------------------------------------------------------ reading answers

    def _read_value(self, ask: QueryAsk, column: Sequence[Any]) -> Answer:
        if ask.is_array:
            return Answer(ask.rule, [[] if value is None else [value] for value in column])
        return Answer(ask.rule, list(column))

    def _read_rows(self, ask: QueryAsk, column: Sequence[Any]) -> Answer:
        read = self.read_rows
        rows = [None if value is None else read(value) for value in column]
        return _from_rows(ask, rows)

    def _read_column(self, ask: ColumnAsk, counts: Sequence[Any], column: Sequence[Any], profiles: Profiles) -> Answer:
        if ask.is_array:
            read = self.read_rows if ask.aggregation in ("exact", "most_recent", "least_recent") else _only
            items = [[] if value is None else read(value) for value in column]
            present = [profile.get(ask.key) is not None for profile in profiles]
            return Answer(ask.rule, [item if there else None for item, there in zip(items, present, strict=True)])
        several: list[int] = []
        if ask.aggregation == "exact":
            several = [place for place, count in enumerate(counts) if count is not None and count > 1]
        elif ask.aggregation in ZERO_WITHOUT_ROWS:
            column = [
                0 if value is None and profile.get(ask.key) is not None else value
                for value, profile in zip(column, profiles, strict=True)
            ]
        return Answer(ask.rule, list(column), several)

    # ------------------------------------------------------------ alone

    def _ask_alone(self, ask: Ask, profiles: Profiles) -> Answer:
        """One rule by itself, in the first way that works; an `Answer` with the error where none does."""
        if not profiles:
            return Answer(ask.rule)
        first: Refused | TooSlow | None = None
        for way, run in self._ways_from(ask):
            try:
                answer = run(ask, profiles)
            except (Refused, TooSlow) as error:
                final = isinstance(error, TooSlow) or error.kind is not RefusalKind.STATEMENT
                first = error if first is None or final else first
                if final:
                    break
                continue
            except Reject as error:
                return Answer(ask.rule, error=error.reason)
            if first is not None and isinstance(ask, QueryAsk):
                self._ways[ask.template] = (way, first.reason)
            return answer
        gone = isinstance(first, Refused) and first.kind is RefusalKind.GONE
        return Answer(ask.rule, error=first.reason if first is not None else "The rule could not be asked.", gone=gone)

    def _ways_from(self, ask: Ask) -> Iterator[tuple[str, Callable[[Any, Profiles], Answer]]]:
        ways: list[tuple[str, Callable[[Any, Profiles], Answer]]] = [
            (TOGETHER, lambda ask, profiles: self._ask_together([ask], profiles)[ask.rule])
        ]
        if isinstance(ask, QueryAsk):
            ways += [
                (UNION, lambda ask, profiles: self._ask_singly(ask, profiles, UNION_SIZE)),
                (ONE_BY_ONE, lambda ask, profiles: self._ask_singly(ask, profiles, 1)),
            ]
        names = [name for name, _ in ways]
        yield from ways[names.index(self.way_of(ask)[0]) :]

    def _ask_singly(self, ask: QueryAsk, profiles: Profiles, size: int) -> Answer:
        """By single queries with bound values, `size` of them joined by UNION ALL in a statement."""
        sql, keys = self._single(ask)
        wanted = [
            place for place, profile in enumerate(profiles) if all(profile.get(key) is not None for key, _ in keys)
        ]
        rows: list[list[Any] | None] = [None] * len(profiles)
        for start in range(0, len(wanted), size):
            places = wanted[start : start + size]
            text = " union all ".join(f"select {place} as i, t.* from ({sql}) t" for place in range(len(places)))
            values = [self.bind_value(profiles[place][key], quoted=quoted) for place in places for key, quoted in keys]
            _, found = self.query(text, values)
            lists: list[list[Any]] = [[] for _ in places]
            for row in found:
                lists[row[0]].append(row[1])
            for place, kept in zip(places, lists, strict=True):
                rows[place] = kept
        return _from_rows(ask, rows)

    def _single(self, ask: QueryAsk) -> tuple[str, list[tuple[str, bool]]]:
        """The query for one profile, and the property of each placeholder with whether it was written as text."""
        keys: list[tuple[str, bool]] = []

        def render(variable: Variable, quoted: bool) -> str:
            self._variable_type(ask, variable)
            keys.append((variable.key, quoted))
            return self.placeholder

        checked = bind_template(ask.template, self.dialect, lambda _variable, _quoted: "_keys._p")
        shape = self._check(checked)
        text = bind_template(ask.template, self.dialect, render, escape=self.escape)
        if ask.is_array or shape.one_row:
            return text, keys
        return (f"select * from ({text}) s limit 2" if shape.limited else f"{text} limit 2"), keys

    # ------------------------------------------------------------ small things

    def _check(self, text: str) -> Shape:
        shape = check_select(self.unescape(text), self.dialect)
        if shape.columns != 1:
            raise Reject("The query must give one column, by its name: the property's value.")
        return shape

    def _variable_type(self, ask: QueryAsk, variable: Variable) -> KeyType:
        if not variable.is_property:
            raise Reject("A property's query cannot use {{high_water_mark}}: only a schedule's can.")
        value_type = ask.variables.get(variable.key)
        if value_type is None:
            raise Reject(f"There is no property rule with the key {variable.key}.")
        return self.key_types.get(value_type, self.key_types["string"])

    def _column_type(self, table: str, column: str, value_type: str) -> KeyType:
        at = (table, column, value_type)
        if at not in self._column_types:
            self._column_types[at] = self.find_column_type(table, column, value_type)
        return self._column_types[at]


def _from_rows(ask: QueryAsk, rows: Sequence[list[Any] | None]) -> Answer:
    """The answer of a query rule from each profile's rows (None: it was not asked)."""
    if ask.is_array:
        return Answer(ask.rule, list(rows))
    several = [place for place, found in enumerate(rows) if found is not None and len(found) > 1]
    return Answer(ask.rule, [found[0] if found else None for found in rows], several)


def _key_column(keys: dict[tuple[str, str], KeyColumn], key: str, type_: KeyType) -> KeyColumn:
    return keys.setdefault((key, type_.sql), KeyColumn(f"_p{len(keys)}", key, type_))


def _only(value: Any) -> list[Any]:
    return [value]
