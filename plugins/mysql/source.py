"""MySQL and MariaDB as a source: connection, errors in sentences, the dialect's words for importing and retrieving.

MariaDB has no LATERAL: a query's rows are taken together inside its own select list, so a query with GROUP BY,
DISTINCT, LIMIT or UNION goes by UNION ALL. MySQL 8.0.19 and later wraps any query whole.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pymysql
import sqlglot
from pymysql.constants import CLIENT, FIELD_TYPE
from sqlglot import exp

from plugins.contracts import Halt, PluginError, Retry
from plugins.sql.app import CONNECT_TIMEOUT
from plugins.sql.errors import RefusalKind, Refused, TooSlow
from plugins.sql.importing import SqlImports
from plugins.sql.keys import KeyColumn, KeyType, to_boolean, to_integer, to_number, to_text, to_time
from plugins.sql.queries import KEYS, Shape
from plugins.sql.retrieving import CannotWrap, SqlRetrieves
from plugins.sql.sampling import SqlSamples

_INTEGER, _NUMBER = KeyType("bigint", to_integer), KeyType("decimal(60,20)", to_number)
_BOOLEAN, _TIME = KeyType("tinyint", to_boolean), KeyType("datetime(6)", to_time)
_COLUMN_TYPES: Mapping[str, KeyType] = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "year"), _INTEGER),
    **dict.fromkeys(("decimal", "float", "double"), _NUMBER),
    **dict.fromkeys(("date", "datetime", "timestamp"), _TIME),
}
_ENCODINGS = {"latin1": "cp1252", "ascii": "ascii"}  # character sets that cannot hold every text
_LONGEST_KEY = 1000  # characters

_TIME_CODES = frozenset({FIELD_TYPE.DATE, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP, FIELD_TYPE.NEWDATE})
_TEXT_CODES = frozenset({FIELD_TYPE.VARCHAR, FIELD_TYPE.VAR_STRING, FIELD_TYPE.STRING, FIELD_TYPE.BLOB})

_GONE = frozenset({1049, 1054, 1109, 1146})
_TOO_SLOW = frozenset({1969, 3024})
_TRY_AGAIN = frozenset({1040, 1053, 1203, 1205, 1213, 1317, 1226, 2006, 2013, 2014, 2055, 4031})
_DATA = frozenset(
    {
        1048,
        1062,
        1136,
        1153,
        1138,
        1242,
        1264,
        1265,
        1292,
        1364,
        1365,
        1366,
        1406,
        1411,
        1451,
        1452,
        1690,
        3819,
        3140,
        4025,
    }
)
_ROWS = "_rows_of_this_query"


class MysqlSource(SqlSamples, SqlImports, SqlRetrieves):
    """One MySQL or MariaDB database, as a source."""

    dialect = "mysql"
    driver_url = "mysql+pymysql"
    driver_error = pymysql.Error
    server = "MySQL"
    quote_mark = "`"
    text_type = "char"
    is_mariadb = True
    _collation = ("utf8mb4", "utf8mb4_general_ci")  # of the database

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._json_columns: dict[str, frozenset[str]] = {}  # by table, for as long as the connection lasts

    # ------------------------------------------------------------ connection

    def open(self) -> Any:
        self._json_columns = {}
        host = self.options.get("host") or "localhost"
        connection = pymysql.connect(
            host=None if host.startswith("/") else host,
            unix_socket=host if host.startswith("/") else None,
            port=int(self.options.get("port") or 3306),
            database=self.options.get("database"),
            user=self.options.get("user"),
            password=self.options.get("password") or "",
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=self.statement_timeout + CONNECT_TIMEOUT if self.statement_timeout else None,
            client_flag=CLIENT.FOUND_ROWS,
            **_ssl_arguments(self.options.get("ssl_mode") or "prefer"),
        )
        with connection.cursor() as cursor:
            cursor.execute("select version(), @@character_set_database, @@collation_database, @@sql_mode")
            version, charset, collation, mode = cursor.fetchone()
            self.is_mariadb = "mariadb" in version.lower()
            self._collation = (charset, collation) if charset in ("utf8mb4", *_ENCODINGS) else self._collation
            modes = ",".join([*filter(None, mode.split(",")), "STRICT_ALL_TABLES"])
            cursor.execute("set time_zone = '+00:00', sql_mode = %s", (modes,))
            if self.is_mariadb:  # long lists of keys stay ranges of an index
                cursor.execute("set in_predicate_conversion_threshold = 0")
            cursor.execute("set session transaction read only")
            for statement in self.limit_time(self.statement_timeout):
                cursor.execute(statement)
        return connection

    def is_closed(self) -> bool:
        return self._connection is not None and not self._connection.open

    def begin_writing(self) -> Sequence[str]:
        return ("set session transaction read write", "start transaction")

    def end_writing(self) -> Sequence[str]:
        return ("set session transaction read only",)

    def limit_time(self, seconds: float) -> Sequence[str]:
        if self.is_mariadb:
            return (f"set max_statement_time = {float(seconds)}",)
        return (f"set max_execution_time = {int(seconds * 1000)}",)

    # ------------------------------------------------------------ errors

    def explain(self, error: Exception, *, connecting: bool) -> PluginError:
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        text = str(error.args[1]) if len(error.args) > 1 else str(error)
        if connecting:
            return self._explain_connecting(code, text)
        if code in _TOO_SLOW:
            return TooSlow(f"The statement was given up: it took longer than {self.statement_timeout:g} seconds.")
        if code in _TRY_AGAIN or code in (0, 2000) or isinstance(error, OSError | pymysql.InterfaceError):
            return Retry(_sentence(text) if code in (1205, 1213) else "The connection to the database was lost.")
        if code in _GONE and f"{KEYS}." not in text:  # a variable inside a derived table is out of MariaDB's sight
            return Refused(_sentence(text), kind=RefusalKind.GONE)
        return Refused(_sentence(text), kind=RefusalKind.DATA if code in _DATA else RefusalKind.STATEMENT)

    def _explain_connecting(self, code: int, text: str) -> PluginError:
        host, port = self.options.get("host"), self.options.get("port") or 3306
        database, user = self.options.get("database"), self.options.get("user")
        if code in (1045, 1698):
            return Halt(f"The server refused the password for the user {user}: check the user and the password.")
        if code == 1044:
            return Halt(f"The user {user} may not use the database {database}: grant it the rights, or check the name.")
        if code == 1049:
            return Halt(f"There is no database {database} on {host}: check the database's name.")
        if code in (1130, 1129):
            return Halt(f"The server on {host} does not let this machine in: grant the user access from here.")
        if re.search(r"Name or service not known|getaddrinfo|nodename nor servname|No address associated", text):
            return Halt(f"There is no host {host}: check the host's name.")
        if re.search(r"(?i)certificate|ssl|tls", text):
            return Halt(f"No safe connection to {host} came about: check the SSL setting and the certificate.")
        if "timed out" in text:
            return Retry(
                f"{host}:{port} did not answer within {CONNECT_TIMEOUT} seconds: check host, port and firewall."
            )
        if "refused" in text:
            return Retry(f"Nothing answers at {host}:{port}: check host and port, and that the server is running.")
        return Retry(f"The server at {host}:{port} could not be reached: {_sentence(text)}")

    # ------------------------------------------------------------ reading records

    def after_mark(self, changed: str, id_column: str) -> str:
        return f"({changed} > %s or ({changed} = %s and {id_column} > %s))"  # two ranges of an index

    def after_mark_values(self, changed: Any, id_: Any) -> list[Any]:
        return [changed, changed, id_]

    def beginning(self, type_code: Any) -> Any:
        if type_code in _TIME_CODES:
            return "1000-01-01 00:00:00"
        return "" if type_code in _TEXT_CODES else -(2**63)

    def to_bind(self, value: Any) -> Any:
        if isinstance(value, datetime) and value.tzinfo:
            return value.astimezone(UTC).replace(tzinfo=None)
        return value

    def json_columns(self, table: str) -> frozenset[str]:
        """MySQL has a type for JSON; MariaDB's is text with the check that it is JSON."""
        if table not in self._json_columns:
            schema, _, name = table.replace("`", "").rpartition(".")
            self._json_columns[table] = frozenset(self._find_json_columns(schema or None, name))
        return self._json_columns[table]

    def _find_json_columns(self, schema: str | None, table: str) -> list[str]:
        if self.is_mariadb:
            found = (
                "information_schema.columns c join information_schema.check_constraints k"
                " on k.constraint_schema = c.table_schema and k.table_name = c.table_name"
                " and k.check_clause = concat('json_valid(`', c.column_name, '`)') where"
            )
        else:
            found = "information_schema.columns c where c.data_type = 'json' and"
        cursor = self.execute(
            f"select c.column_name from {found} c.table_schema = coalesce(%s, database()) and c.table_name = %s",
            (schema, table),
        )
        columns = [str(row[0]) for row in cursor.fetchall()]
        cursor.close()
        return columns

    # ------------------------------------------------------------ retrieving

    @property
    def key_types(self) -> Mapping[str, KeyType]:  # type: ignore[override]  # text has the database's own collation
        text = text_key(*self._collation)
        return {"integer": _INTEGER, "float": _NUMBER, "boolean": _BOOLEAN, "date": _TIME, "string": text}

    def key_table(self, columns: Sequence[KeyColumn]) -> str:
        named = "".join(f", {column.name} {column.type.sql} path '$[{place}]'" for place, column in enumerate(columns))
        return f"json_table(%s, '$[*]' columns(_i for ordinality{named})) as _keys"

    def key_parameters(self, columns: Sequence[KeyColumn], values: Sequence[Sequence[Any]]) -> list[Any]:
        return [json.dumps(list(zip(*values, strict=True)), ensure_ascii=False)]

    def is_key(self, column: str, type_: str) -> str:
        return f"{column} in %s"

    def key_parameter(self, type_: KeyType, values: Sequence[Any]) -> Any:
        return tuple(values) or (None,)

    def rows_of(self, sql: str, shape: Shape, limit: int | None) -> str:
        ending = "" if limit is None else f" limit {limit}"
        if not self.is_mariadb:
            inner = f"select * from ({sql}) s{ending}" if shape.limited else f"{sql}{ending}"
            return f"(select coalesce(json_arrayagg(t.x), json_array()) from ({inner}) t(x))"
        if shape.only_variables:
            raise CannotWrap("The query's column is made of variables alone.")
        if not shape.plain:
            raise CannotWrap("MariaDB cannot put a query with GROUP BY, DISTINCT, LIMIT or UNION into a larger one.")
        return f"({self.escape(_gather_rows(self.unescape(sql), ending))})"

    def read_rows(self, value: Any) -> list[Any]:
        return list(json.loads(value, parse_float=Decimal))

    def array_of(self, column: str, order: str) -> str:
        return _array(f"{column}{' ' + order if order and self.is_mariadb else ''}")

    def find_column_type(self, table: str, column: str, value_type: str) -> KeyType:
        schema, _, name = table.replace("`", "").rpartition(".")
        cursor = self.execute(
            "select column_name, data_type, character_set_name, collation_name from information_schema.columns"
            " where table_schema = coalesce(%s, database()) and table_name = %s",
            (schema or None, name),
        )
        found = {row[0].lower(): row[1:] for row in cursor.fetchall()}
        cursor.close()
        if not found:
            raise Refused(f"The table {table} does not exist.", kind=RefusalKind.GONE)
        if column.lower() not in found:
            raise Refused(f"The table {table} has no column {column}.", kind=RefusalKind.GONE)
        type_, charset, collation = found[column.lower()]
        if charset:
            return text_key(charset, collation)
        return _COLUMN_TYPES.get(type_.lower()) or self.key_types.get(value_type, self.key_types["string"])

    def bind_value(self, value: Any, *, quoted: bool) -> Any:
        return value

    def filter_value(self, value: Any) -> Any:
        return to_time(value) if isinstance(value, datetime) else value


def text_key(charset: str, collation: str) -> KeyType:
    """The key type for text that compares with a column of this character set and collation by its index."""
    return KeyType(f"varchar({_LONGEST_KEY}) character set {charset} collate {collation}", _text_in(charset))


def _text_in(charset: str) -> Callable[[Any], str | None]:
    encoding = _ENCODINGS.get(charset, "utf-8")

    def convert(value: Any) -> str | None:
        text = to_text(value)
        if text is None or len(text) > _LONGEST_KEY:
            return None
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            return None  # the column cannot hold it, and a question mark in its place would match others
        return text

    return convert


def _gather_rows(sql: str, ending: str) -> str:
    """The query with its one column inside JSON_ARRAYAGG, which takes over its order."""
    tree = sqlglot.parse_one(sql, dialect="mysql")
    if not isinstance(tree, exp.Select):
        raise CannotWrap("Only a plain SELECT can be put into a larger query.")
    order = tree.args.get("order")
    ordered = f" {order.sql('mysql').strip()}" if order is not None else ""
    column = tree.selects[0].unalias().sql("mysql")
    tree.set("order", None)
    tree.set("expressions", [exp.column(_ROWS)])
    text: str = tree.sql("mysql", comments=False)
    return text.replace(_ROWS, _array(f"{column}{ordered}{ending}"), 1)


def _array(arguments: str) -> str:
    # The text '[]' also makes MariaDB say the right character set: JSON_ARRAYAGG alone gives Latin-1 as UTF-8.
    return f"ifnull(json_arrayagg({arguments}), '[]')"


def _ssl_arguments(mode: str) -> dict[str, Any]:
    if mode == "disable":
        return {"ssl_disabled": True}
    if mode == "prefer":
        return {}
    context = ssl.create_default_context()
    if mode == "require":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return {"ssl": context}


def _sentence(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip() or "unknown error"
    return text[:1].upper() + text[1:].rstrip(".") + "."
