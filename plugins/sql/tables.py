"""The tables that an export writes to: what their columns take, and making tables and columns that are missing.

Two exports may make the same table at once: whoever finds it made meanwhile looks again and goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import sqlalchemy

from plugins.contracts import Field, Halt, Target
from plugins.sql.app import SqlApp
from plugins.sql.errors import Refused
from plugins.sql.sampling import value_type

GROUP_COLUMN = "group_name"

_PARTIAL = ("_where", "_length")  # of an index over some rows, or over the beginning of a text
_OWN_LISTS = "list of the database's own"  # no value type: nothing can be sent there


class SqlTables(SqlApp):
    """Looking at the tables of a target, and making them."""

    column_types: ClassVar[Mapping[str, str]]  # by value type, for columns that we make
    key_column_types: ClassVar[Mapping[str, str]] = {}  # the same where a key needs another type

    # ------------------------------------------------------------ what is there

    def fields(self, target_options: Mapping[str, Any]) -> Sequence[Field]:
        """The columns that can be written; none of a table that the export will make. Raises `Halt` without a table."""
        name = str(target_options.get("table") or "")
        may_make = bool(target_options.get("create_table"))
        if not name:
            return ()
        with self.inspect() as inspector:
            columns = _find_columns(inspector, name)
            if columns is None and not may_make:
                raise Halt(f"There is no table {name}: choose one that is there, or let the export make it.")
            self._check_groups_table(inspector, target_options)
            unique = _find_unique(inspector, name) if columns else set()
        return [
            Field(
                key=column["name"],
                type=_field_type(column["type"]),
                required=_is_required(column),
                takes_lists=_field_type(column["type"]) in ("string", "json"),
                key_problem="" if column["name"] in unique else _no_key(name, column["name"]),
            )
            for column in columns or ()
            if "computed" not in column
        ]

    def _check_groups_table(self, inspector: sqlalchemy.Inspector, options: Mapping[str, Any]) -> None:
        name = str(options.get("groups_table") or "")
        if not name:
            return
        columns = _find_columns(inspector, name)
        if columns is None:
            if options.get("create_table"):
                return
            raise Halt(f"There is no table of groups {name}: choose one that is there, or let the export make it.")
        there = {column["name"] for column in columns}
        for wanted in filter(None, (options.get("key_field"), GROUP_COLUMN)):
            if wanted not in there:
                raise Halt(f"The table of groups {name} has no column {wanted}: add it, or choose another table.")

    # ------------------------------------------------------------ making what is missing

    def make_tables(self, target: Target) -> None:
        """Make the tables and columns that are missing, as far as the target says so. Raises `Halt` or `Retry`."""
        if not (target.options.get("create_table") or target.options.get("add_columns")):
            return
        statements = self._missing(target)
        while statements:
            refused: Refused | None = None
            try:
                with self.writing():
                    self.run_all(statements)
            except Refused as error:
                refused = error  # perhaps because another export was faster
            left = self._missing(target)
            if left == statements:
                raise refused or Halt(f"The table {target.options['table']} could not be made ready for the export.")
            statements = left

    def _missing(self, target: Target) -> list[str]:
        """The statements that make what is not there."""
        table, groups = target.options["table"], target.options.get("groups_table")
        may_make, may_add = target.options.get("create_table"), target.options.get("add_columns")
        statements: list[str] = []
        with self.inspect() as inspector:
            columns = _find_columns(inspector, table)
            if columns is None and may_make:
                statements.append(self._create_table(target))
            elif columns is not None and may_add:
                there = {column["name"] for column in columns}
                statements += [self._add_column(target, name) for name in target.fields if name not in there]
            if groups and may_make and _find_columns(inspector, groups) is None:
                statements.append(self._create_groups_table(target))
        return statements

    def _create_table(self, target: Target) -> str:
        others = [name for name in target.fields if name != target.key_field]
        parts = [
            f"{self.quote(target.key_field)} {self._key_sql(target)} not null",
            *(f"{self.quote(name)} {self._column_sql(target.fields[name])}" for name in others),
            f"primary key ({self.quote(target.key_field)})",
        ]
        return f"create table if not exists {self.quote_table(target.options['table'])} ({', '.join(parts)})"

    def _add_column(self, target: Target, name: str) -> str:
        table = self.quote_table(target.options["table"])
        return f"alter table {table} add column {self.quote(name)} {self._column_sql(target.fields[name])}"

    def _create_groups_table(self, target: Target) -> str:
        key, group = self.quote(target.key_field), self.quote(GROUP_COLUMN)
        group_sql = self.key_column_types.get("string") or self.column_types["string"]
        return (
            f"create table if not exists {self.quote_table(target.options['groups_table'])} "
            f"({key} {self._key_sql(target)} not null, {group} {group_sql} not null, primary key ({key}, {group}))"
        )

    def _column_sql(self, type_: str) -> str:
        return self.column_types.get(type_) or self.column_types["string"]

    def _key_sql(self, target: Target) -> str:
        type_ = target.fields[target.key_field]
        return self.key_column_types.get(type_) or self._column_sql(type_)


def _find_columns(inspector: sqlalchemy.Inspector, table: str) -> list[Any] | None:
    """The columns of a table or view; None when there is none of this name."""
    schema, name = _split(table)
    inspector.clear_cache()
    if not inspector.has_table(name, schema=schema):
        return None
    return list(inspector.get_columns(name, schema=schema))


def _find_unique(inspector: sqlalchemy.Inspector, table: str) -> set[str]:
    """The columns that tell rows apart on their own: each has a primary key or a unique index of its own."""
    schema, name = _split(table)
    found: list[Sequence[str | None]] = [inspector.get_pk_constraint(name, schema=schema)["constrained_columns"]]
    found.extend(each["column_names"] for each in inspector.get_unique_constraints(name, schema=schema))
    found.extend(
        each["column_names"]
        for each in inspector.get_indexes(name, schema=schema, include_auto_indexes=True)  # which SQLite hides
        if each["unique"] and not any(option.endswith(_PARTIAL) for option in each.get("dialect_options", {}))
    )
    return {columns[0] for columns in found if len(columns) == 1 and columns[0]}


def _split(table: str) -> tuple[str | None, str]:
    schema, _, name = table.rpartition(".")
    return schema.strip(' "`') or None, name.strip(' "`')


def _is_required(column: Mapping[str, Any]) -> bool:
    makes_itself = column.get("autoincrement") is True or column.get("identity") or column.get("default") is not None
    return not column["nullable"] and not makes_itself


def _field_type(type_: sqlalchemy.types.TypeEngine[object]) -> str:
    if isinstance(type_, sqlalchemy.types.JSON):
        return "json"
    return _OWN_LISTS if isinstance(type_, sqlalchemy.types.ARRAY) else value_type(type_)


def _no_key(table: str, column: str) -> str:
    return (
        f"The column “{column}” of the table {table} has no unique index of its own, so its rows cannot be told apart"
        " by it: give it one, or choose another key field."
    )
