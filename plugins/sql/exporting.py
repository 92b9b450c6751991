"""Keeping a table (and, where asked, a table of groups) in step with profiles.

Target options: `table`; `create_table` (make the tables when they are missing: typed columns, primary key on the key
field); `add_columns` (add typed columns to a table that lacks them); `groups_table`, which holds one row (key,
group_name) per group of a profile. One transaction per batch. When
the database refuses a batch for its data, the batch is split until the rows at fault stand alone: those are rejected.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, ClassVar

from plugins.base import ExportsProfiles, ReadsBack
from plugins.contracts import (
    ACCEPTED,
    Halt,
    Option,
    OptionKind,
    Outcome,
    OutcomeKind,
    ProfileExport,
    SyncMode,
    Target,
)
from plugins.sql.errors import RefusalKind, Refused
from plugins.sql.keys import KeyType, to_time
from plugins.sql.retrieving import SqlRetrieves
from plugins.sql.tables import GROUP_COLUMN, SqlTables


@dataclass(frozen=True, slots=True)
class Plan:
    """What a batch comes to: each list without doubles, in the batch's order."""

    moves: list[tuple[Any, Any]]  # (old key, new key)
    gone: list[Any]  # keys whose rows go, unless the batch writes them
    rows: list[Mapping[str, Any]]  # the payloads to write
    groups: list[tuple[Any, str]]  # (key, group) to hold
    ungrouped: list[Any]  # keys whose groups of ours are replaced
    names: list[str]  # the groups that are ours


class SqlExports(SqlTables, SqlRetrieves, ExportsProfiles, ReadsBack):
    """The exporting half of a SQL plugin."""

    target_options: ClassVar[tuple[Option, ...]] = (
        Option("table", "Table", required=True, help="The table that holds one row for each person."),
        Option(
            "create_table",
            "Make the table when it is missing",
            kind=OptionKind.BOOLEAN,
            help="With a column for each field and the key as its primary key.",
        ),
        Option(
            "add_columns",
            "Add columns that are missing",
            kind=OptionKind.BOOLEAN,
            help="Then a property may also go to a column that the table does not have yet.",
        ),
        Option(
            "groups_table",
            "Table of groups",
            help="Leave it empty to send no groups. It gets one row for each group of a person: key, group_name.",
        ),
    )
    new_fields_option = "add_columns"
    reads_json: ClassVar[bool] = False  # whether the driver gives JSON as what it says, not as text

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._prepared: set[str] = set()

    # ------------------------------------------------------------ what a dialect must say

    @abstractmethod
    def write_rows(self, target: Target, payloads: Sequence[Mapping[str, Any]]) -> None:
        """Insert a row for each of these payloads, or update those whose key is there."""

    @abstractmethod
    def insert_groups(self, target: Target, pairs: Sequence[tuple[Any, str]]) -> None:
        """Add (key, group) rows that are not there yet."""

    def to_column(self, value: Any, type_: str) -> Any:
        """A payload's value as the driver takes it."""
        if value is None:
            return None
        if type_ == "date":
            return to_time(value)
        if type_ == "json":
            return json.dumps(value, ensure_ascii=False)
        return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value

    def to_rows(self, target: Target, payloads: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
        """The payloads' values as the driver takes them, in the order of the target's fields."""
        fields = target.fields.items()
        return [tuple([self.to_column(payload.get(field), type_) for field, type_ in fields]) for payload in payloads]

    # ------------------------------------------------------------ the capabilities

    def export(self, target: Target, batch: Sequence[ProfileExport]) -> Sequence[Outcome]:
        self._prepare(target)
        return self._export(target, batch)

    def read_back(self, target: Target, keys: Sequence[Any]) -> Mapping[Any, Mapping[str, Any]]:
        columns = list(target.fields)
        names = ", ".join(self.quote(column) for column in columns)
        condition, bound = self._keys(target, keys)
        _, rows = self.query(f"select {names} from {self._table(target)} where {condition}", bound)
        wanted = {_fold(key): key for key in keys}
        held: dict[Any, Mapping[str, Any]] = {}
        for row in rows:
            payload = {name: self._read(value, target.fields[name]) for name, value in zip(columns, row, strict=True)}
            key = wanted.get(_fold(payload[target.key_field]))
            if key is not None:
                held[key] = payload
        return held

    def _read(self, value: Any, type_: str) -> Any:
        is_text = type_ == "json" and isinstance(value, str) and not self.reads_json
        return json.loads(value) if is_text else from_column(value, type_)

    # ------------------------------------------------------------ one batch

    def _export(self, target: Target, batch: Sequence[ProfileExport]) -> list[Outcome]:
        try:
            with self.writing():
                self._write(target, plan_batch(target, batch))
        except Refused as error:
            if error.kind is not RefusalKind.DATA:
                raise
            if len(batch) == 1:
                return [Outcome(OutcomeKind.REJECT, error.reason)]
            middle = len(batch) // 2
            return self._export(target, batch[:middle]) + self._export(target, batch[middle:])
        return [ACCEPTED] * len(batch)

    def _write(self, target: Target, plan: Plan) -> None:
        if plan.moves:
            self._move(target, plan.moves)
        if plan.gone:
            self._delete(self._table(target), target, plan.gone)
        payloads = plan.rows
        if payloads and target.mode is SyncMode.ENRICH:
            payloads = self._find_known(target, payloads)
        if payloads:
            self.write_rows(target, payloads)
        if self._groups_table(target):
            self._write_groups(target, plan)

    def _move(self, target: Target, moves: Sequence[tuple[Any, Any]]) -> None:
        """Give rows their new key where it is free; a row that is left under its old key is deleted afterwards."""
        taken = self._existing(target, [new for _, new in moves])
        convert = self._key_type(target).convert
        pairs = [(convert(new), convert(old)) for old, new in order_moves(moves, taken)]
        if pairs:
            key = self.quote(target.key_field)
            self.execute(
                f"update {self._table(target)} set {key} = {self.placeholder} where {key} = {self.placeholder}",
                many=pairs,
            ).close()

    def _find_known(self, target: Target, payloads: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Those of the payloads whose key is there."""
        field, type_ = target.key_field, target.fields[target.key_field]
        keys = [self.to_column(payload.get(field), type_) for payload in payloads]
        there = self._existing(target, keys)
        return [payload for key, payload in zip(keys, payloads, strict=True) if _fold(key) in there]

    def _write_groups(self, target: Target, plan: Plan) -> None:
        table = self._groups_table(target)
        if plan.ungrouped and plan.names:
            names = ", ".join([self.placeholder] * len(plan.names))
            self._delete(table, target, plan.ungrouped, f" and {self.quote(GROUP_COLUMN)} in ({names})", plan.names)
        pairs = plan.groups
        if pairs and target.mode is SyncMode.ENRICH:
            there = self._existing(target, [key for key, _ in pairs])
            pairs = [pair for pair in pairs if _fold(pair[0]) in there]
        if pairs:
            convert = self._key_type(target).convert
            self.insert_groups(target, [(convert(key), name) for key, name in pairs])

    # ------------------------------------------------------------ small statements

    def _delete(
        self, table: str, target: Target, keys: Sequence[Any], more: str = "", values: Sequence[Any] = ()
    ) -> None:
        condition, bound = self._keys(target, keys)
        self.execute(f"delete from {table} where {condition}{more}", [*bound, *values]).close()

    def _existing(self, target: Target, keys: Sequence[Any]) -> set[str]:
        key = self.quote(target.key_field)
        condition, bound = self._keys(target, keys)
        cursor = self.execute(f"select {key} from {self._table(target)} where {condition}", bound)
        found = {_fold(row[0]) for row in cursor.fetchall()}
        cursor.close()
        return found

    def _keys(self, target: Target, keys: Sequence[Any]) -> tuple[str, list[Any]]:
        type_ = self._key_type(target)
        values = [value for value in map(type_.convert, keys) if value is not None]
        return self.is_key(self.quote(target.key_field), type_.sql), [self.key_parameter(type_, values)]

    def _key_type(self, target: Target) -> KeyType:
        return self._column_type(target.options["table"], target.key_field, target.fields[target.key_field])

    def _table(self, target: Target) -> str:
        return self.quote_table(target.options["table"])

    def _groups_table(self, target: Target) -> str:
        name = target.options.get("groups_table")
        return self.quote_table(name) if name else ""

    def _prepare(self, target: Target) -> None:
        """Check the target once per connection, and make what is missing where that is asked."""
        if not target.options.get("table"):
            raise Halt("The export names no table to write to.")
        if target.key_field not in target.fields:
            raise Halt(f"The key field {target.key_field} is not among the fields that are exported.")
        about = repr((sorted(target.options.items(), key=str), target.key_field, sorted(target.fields.items())))
        if about not in self._prepared:
            self.make_tables(target)
            self._prepared.add(about)


def plan_batch(target: Target, batch: Sequence[ProfileExport]) -> Plan:
    """What has to be done for a batch, by sync mode. Rows are removed in `sync` alone; groups are cleared always."""
    field = target.key_field
    plan = Plan(moves=[], gone=[], rows=[], groups=[], ungrouped=[], names=[])
    names = dict.fromkeys(target.groups)
    for item in batch:
        old = item.old.get(field) if item.old is not None and item.release_old_key else None
        for name in (*item.old_groups, *item.new_groups):
            names[name] = None
        if old is not None:
            plan.ungrouped.append(old)
        if item.new is None:
            if old is not None and target.mode is SyncMode.SYNC:
                plan.gone.append(old)
            continue
        new = item.new.get(field)
        plan.rows.append(item.new)
        plan.groups.extend((new, name) for name in dict.fromkeys(item.new_groups))
        if new != old:
            plan.ungrouped.append(new)
            if old is not None:
                plan.moves.append((old, new))
                if target.mode is not SyncMode.ENRICH:
                    plan.gone.append(old)
    plan.names.extend(names)
    if plan.gone:
        written = {str(payload.get(field)) for payload in plan.rows}
        plan.gone[:] = [key for key in plan.gone if str(key) not in written]
    return plan


def order_moves(moves: Sequence[tuple[Any, Any]], taken: set[str]) -> list[tuple[Any, Any]]:
    """The (old, new) keys whose new one is free when its turn comes: in a chain the last one makes room first.

    Those that go round in a circle, and those whose new key somebody else keeps, are left out.
    """
    waiting = {_fold(new): (old, new) for old, new in moves}
    free = [key for key in waiting if key not in taken]
    ordered: list[tuple[Any, Any]] = []
    while free:
        old, new = waiting.pop(free.pop())
        ordered.append((old, new))
        if (left := _fold(old)) in waiting and left in taken:
            free.append(left)
    return ordered


def from_column(value: Any, type_: str) -> Any:
    """A column's value as a payload holds it: dates as fixed-width UTC text, numbers and booleans as such."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    elif type_ == "date" and isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
    if value is None:
        return None
    if type_ == "boolean":
        return bool(value)
    if type_ == "float" and isinstance(value, Decimal | int):
        return float(value)
    if type_ == "integer" and isinstance(value, Decimal | str):
        return int(value)
    return value


def _fold(key: Any) -> str:
    """A key for comparing what the database holds with what was sent: databases may not tell case or type apart."""
    return str(key).casefold()
