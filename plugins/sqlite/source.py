"""A SQLite file as a source: connection, errors in sentences, the dialect's words for importing and retrieving."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from plugins.contracts import Halt, PluginError, Retry
from plugins.sql.app import CONNECT_TIMEOUT
from plugins.sql.errors import RefusalKind, Refused
from plugins.sql.importing import SqlImports
from plugins.sql.keys import KeyColumn, KeyType, to_boolean, to_integer, to_number, to_text, to_time
from plugins.sql.queries import Shape
from plugins.sql.retrieving import SqlRetrieves
from plugins.sql.sampling import SqlSamples


def _to_real(value: Any) -> float | None:
    text = to_number(value)
    return None if text is None else float(text)


def _to_natural(value: Any) -> Any:
    return value if isinstance(value, int | float) else to_text(value)


class SqliteSource(SqlSamples, SqlImports, SqlRetrieves):
    """One SQLite file, as a source."""

    dialect = "sqlite"
    driver_url = "sqlite+pysqlite"
    driver_error = sqlite3.Error
    server = "SQLite"
    placeholder = "?"
    sorts_in_aggregates = False  # only from 3.44 on
    quote_mark = "`"  # what stands in double quotes and is no column, SQLite takes for a text
    key_types: ClassVar[Mapping[str, KeyType]] = {
        "integer": KeyType("integer", to_integer),
        "float": KeyType("real", _to_real),
        "boolean": KeyType("boolean", to_boolean),
        "date": KeyType("time", to_time),
        "string": KeyType("text", to_text),
    }

    # ------------------------------------------------------------ connection

    def open(self) -> Any:
        path = Path(str(self.options.get("path") or ""))
        if not path.is_file():
            raise FileNotFoundError(path)
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=rw",
            uri=True,
            timeout=CONNECT_TIMEOUT,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute("select count(*) from sqlite_master").fetchone()
            connection.execute("pragma query_only = on")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def begin_writing(self) -> Sequence[str]:
        return ("pragma query_only = off", "begin immediate")

    def end_writing(self) -> Sequence[str]:
        return ("pragma query_only = on",)

    # ------------------------------------------------------------ errors

    def explain(self, error: Exception, *, connecting: bool) -> PluginError:
        text = str(error)
        path = self.options.get("path")
        if connecting:
            if isinstance(error, FileNotFoundError):
                return Halt(f"There is no file at {path}: check the path.")
            if "not a database" in text:
                return Halt(f"The file at {path} is not a SQLite database: check the path.")
            return Halt(f"The file at {path} cannot be opened: check the path and its permissions.")
        if re.search(r"locked|busy|interrupted", text):
            return Retry(f"The SQLite file is locked by another program ({text}).")
        if "closed database" in text:
            return Retry("The connection to the SQLite file was closed.")
        if re.search(r"disk I/O|disk is full", text):
            return Retry(_sentence(text))
        if re.search(r"readonly database", text):
            return Halt(f"The SQLite file is read-only here: check the permissions of {path}.")
        if re.search(r"no such (table|column)|has no column", text):
            return Refused(_sentence(text), kind=RefusalKind.GONE)
        data = isinstance(error, sqlite3.IntegrityError | sqlite3.DataError | OverflowError | UnicodeError)
        return Refused(_sentence(text), kind=RefusalKind.DATA if data else RefusalKind.STATEMENT)

    # ------------------------------------------------------------ reading records

    def after_mark(self, changed: str, id_column: str) -> str:
        return f"({changed}, {id_column}) > (?, ?)"

    def beginning(self, type_code: Any) -> Any:
        return -(2**63)  # numbers sort before text, so this is before every value

    def to_bind(self, value: Any) -> Any:
        if isinstance(value, Decimal):
            return float(value)
        return value.isoformat() if isinstance(value, date) else value

    # ------------------------------------------------------------ retrieving

    def key_table(self, columns: Sequence[KeyColumn]) -> str:
        named = "".join(f", json_extract(value, '$[{place}]') as {column.name}" for place, column in enumerate(columns))
        return f"(select key as _i{named} from json_each(?)) as _keys"

    def key_parameters(self, columns: Sequence[KeyColumn], values: Sequence[Sequence[Any]]) -> list[Any]:
        return [json.dumps(list(zip(*values, strict=True)), ensure_ascii=False)]

    def is_key(self, column: str, type_: str) -> str:
        return f"{column} in (select value from json_each(?))"

    def key_parameter(self, type_: KeyType, values: Sequence[Any]) -> Any:
        return json.dumps(list(values), ensure_ascii=False)

    def rows_of(self, sql: str, shape: Shape, limit: int | None) -> str:
        ending = "" if limit is None else f" limit {limit}"
        inner = f"select * from ({sql}) s{ending}" if shape.limited else f"{sql}{ending}"
        return f"(with t(x) as ({inner}) select json_group_array(x) from t)"

    def array_of(self, column: str, order: str) -> str:
        return f"json_group_array({column}{' ' + order if order else ''})"

    def read_rows(self, value: Any) -> list[Any]:
        return list(json.loads(value))

    def find_column_type(self, table: str, column: str, value_type: str) -> KeyType:
        cursor = self.execute("select name, type from pragma_table_info(?)", (table.strip('"`'),))
        found = {name.lower(): type_.lower() for name, type_ in cursor.fetchall()}
        cursor.close()
        if not found:
            raise Refused(f"The table {table} does not exist.", kind=RefusalKind.GONE)
        if column.lower() not in found:
            raise Refused(f"The table {table} has no column {column}.", kind=RefusalKind.GONE)
        kind = "text" if re.search(r"char|clob|text", found[column.lower()]) else "natural"
        return KeyType(kind, to_text if kind == "text" else _to_natural)

    def bind_value(self, value: Any, *, quoted: bool) -> Any:
        return self.filter_value(value)

    def filter_value(self, value: Any) -> Any:
        if isinstance(value, datetime):
            return to_time(value)
        return float(value) if isinstance(value, Decimal) else value


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
