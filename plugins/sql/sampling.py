"""Testing the connection and showing what a database has: tables, columns, a few rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import sqlalchemy
from sqlalchemy.dialects import mysql
from sqlalchemy.engine.reflection import ObjectKind

from plugins.base import GivesSamples, TestsConnection
from plugins.contracts import Column, Halt, PluginError, Reject, Sample, Table, TestResult
from plugins.sql.app import SqlApp
from plugins.sql.queries import bind_template, check_select

# The nearest value type, first match wins; everything else is a string.
_VALUE_TYPES: tuple[tuple[type[sqlalchemy.types.TypeEngine[Any]], str], ...] = (
    (sqlalchemy.types.Boolean, "boolean"),
    (sqlalchemy.types.Integer, "integer"),
    (mysql.YEAR, "integer"),
    (sqlalchemy.types.Numeric, "float"),
    (sqlalchemy.types.Float, "float"),
    (sqlalchemy.types.DateTime, "date"),
    (sqlalchemy.types.Date, "date"),
)


class SqlSamples(SqlApp, TestsConnection, GivesSamples):
    """Connection test and samples of a SQL plugin."""

    server: ClassVar[str] = ""  # how the server calls itself in a sentence
    takes_queries = True

    def test(self) -> TestResult:
        try:
            count = len(self._names())
        except PluginError as error:
            return TestResult(False, error.reason)
        if not count:
            return TestResult(True, f"Connected to {self.server}. There are no tables that this user can see.")
        return TestResult(True, f"Connected to {self.server}: {count} {'table' if count == 1 else 'tables'}.")

    def schemas(self, _inspector: sqlalchemy.Inspector) -> Sequence[str | None]:
        """The schemas whose tables are listed; None is the one whose tables need no prefix."""
        return (None,)

    def tables(self) -> Sequence[Table]:
        found: list[Table] = []
        with self.inspect() as inspector:
            for schema in self.schemas(inspector):
                columns = inspector.get_multi_columns(schema=schema, kind=ObjectKind.ANY)
                keys = inspector.get_multi_pk_constraint(schema=schema, kind=ObjectKind.TABLE)
                for at, described in columns.items():
                    found.append(
                        Table(
                            name=at[1] if schema is None else f"{schema}.{at[1]}",
                            columns=tuple(
                                Column(column["name"], value_type(column["type"]), _type_text(column["type"]))
                                for column in described
                            ),
                            primary_key=tuple(keys[at]["constrained_columns"]) if at in keys else (),
                        )
                    )
        return sorted(found, key=lambda table: table.name)

    def sample(self, table: str, *, limit: int = 10) -> Sample:
        columns, rows = self.query(f"select * from {self.quote_table(table)} limit {int(limit)}")
        return Sample(columns, tuple(rows))

    def sample_query(self, query: str, *, limit: int = 10) -> Sample:
        try:
            check_select(bind_template(query, self.dialect, lambda _variable, _quoted: "null"), self.dialect)
            text = bind_template(query, self.dialect, lambda _variable, _quoted: "null", escape=self.escape)
        except Reject as error:
            raise Halt(error.reason) from None
        columns, rows = self.query(f"select * from ({text}) q limit {int(limit)}")
        return Sample(columns, tuple(rows))

    def _names(self) -> list[str]:
        names: list[str] = []
        with self.inspect() as inspector:
            for schema in self.schemas(inspector):
                names += inspector.get_table_names(schema=schema) + inspector.get_view_names(schema=schema)
        return names


def value_type(type_: sqlalchemy.types.TypeEngine[object]) -> str:
    """The product's value type that is nearest to a column's type."""
    if getattr(type_, "display_width", None) == 1 and isinstance(type_, mysql.TINYINT):
        return "boolean"  # what MySQL makes of BOOLEAN
    return next((name for kind, name in _VALUE_TYPES if isinstance(type_, kind)), "string")


def _type_text(type_: sqlalchemy.types.TypeEngine[object]) -> str:
    try:
        return str(type_)
    except sqlalchemy.exc.CompileError:
        return type(type_).__name__.lower()
