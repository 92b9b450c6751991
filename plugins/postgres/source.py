"""PostgreSQL as a source: connection, errors in sentences, and the dialect's words for importing and retrieving."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, ClassVar

import psycopg2
import psycopg2.extensions
import sqlalchemy

from plugins.contracts import Halt, PluginError, Retry
from plugins.sql.app import CONNECT_TIMEOUT
from plugins.sql.errors import RefusalKind, Refused, TooSlow
from plugins.sql.importing import SqlImports
from plugins.sql.keys import KeyColumn, KeyType, to_boolean, to_integer, to_number, to_text, to_time, to_uuid
from plugins.sql.queries import Shape
from plugins.sql.retrieving import SqlRetrieves
from plugins.sql.sampling import SqlSamples

_INTEGER, _TEXT = KeyType("bigint", to_integer), KeyType("text", to_text)
_NUMBER, _TIME = KeyType("numeric", to_number), KeyType("timestamptz", to_time)
# Key types that compare with a column of the given type by its index.
_COLUMN_TYPES: Mapping[str, KeyType] = {
    "smallint": _INTEGER,
    "integer": _INTEGER,
    "bigint": _INTEGER,
    "numeric": _NUMBER,
    "real": KeyType("double precision", to_number),
    "double precision": KeyType("double precision", to_number),
    "character varying": _TEXT,
    "text": _TEXT,
    "boolean": KeyType("boolean", to_boolean),
    "uuid": KeyType("uuid", to_uuid),
    "timestamp with time zone": _TIME,
    "timestamp without time zone": _TIME,
    "date": _TIME,
}
_TIMES = frozenset({1082, 1114, 1184})
_NUMBERS = frozenset({20, 21, 23, 700, 701, 1700})
# What the driver makes of infinite times.
_INFINITIES: Mapping[date, str] = {
    datetime.max: "infinity",  # noqa: DTZ901 - without a time zone, as the driver gives it
    datetime.min: "-infinity",  # noqa: DTZ901 - as above
    date.max: "infinity",
    date.min: "-infinity",
}
_TOO_SLOW = "57014"
_GONE = frozenset({"42P01", "42703", "3F000"})
_LOST_CLASSES = ("08", "53", "57P", "40", "55P03", "58")


class PostgresSource(SqlSamples, SqlImports, SqlRetrieves):
    """One PostgreSQL database, as a source."""

    dialect = "postgres"
    driver_url = "postgresql+psycopg2"
    driver_error = psycopg2.Error
    server = "PostgreSQL"
    key_types: ClassVar[Mapping[str, KeyType]] = {
        "integer": _INTEGER,
        "float": _NUMBER,
        "boolean": KeyType("boolean", to_boolean),
        "date": _TIME,
        "string": _TEXT,
    }

    # ------------------------------------------------------------ connection

    def open(self) -> Any:
        connection = psycopg2.connect(
            host=self.options.get("host") or "localhost",
            port=int(self.options.get("port") or 5432),
            dbname=self.options.get("database"),
            user=self.options.get("user"),
            password=self.options.get("password") or None,
            sslmode=self.options.get("ssl_mode") or "prefer",
            connect_timeout=CONNECT_TIMEOUT,
            application_name="grouparoo",
        )
        connection.set_session(readonly=True, autocommit=True)
        settings = {"timezone": "UTC", "jit": "off", "datestyle": "ISO", "intervalstyle": "postgres"}
        settings["statement_timeout"] = str(int(self.statement_timeout * 1000))
        if self.options.get("schema"):
            settings["search_path"] = self.quote_table(self.options["schema"]).replace("%%", "%")
        with connection.cursor() as cursor:
            calls = ", ".join(["set_config(%s, %s, false)"] * len(settings))
            cursor.execute(f"select {calls}", [part for setting in settings.items() for part in setting])
        return connection

    def is_closed(self) -> bool:
        return self._connection is not None and self._connection.closed != 0

    def begin_writing(self) -> Sequence[str]:
        return ("begin read write",)

    def limit_time(self, seconds: float) -> Sequence[str]:
        return (f"set statement_timeout = {int(seconds * 1000)}",)

    def schemas(self, inspector: sqlalchemy.Inspector) -> Sequence[str | None]:
        if self.options.get("schema"):
            return (None,)
        own = inspector.default_schema_name
        others = [name for name in inspector.get_schema_names() if name not in (own, "information_schema")]
        return (None, *others)

    # ------------------------------------------------------------ errors

    def explain(self, error: Exception, *, connecting: bool) -> PluginError:
        if connecting:
            return self._explain_connecting(str(error))
        code = getattr(error, "pgcode", None) or ""
        text = _sentence(_message(error))
        if not code:
            if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError | OSError):
                return Retry("The connection to PostgreSQL was lost.")
            return Refused(text, kind=RefusalKind.DATA)
        if code == _TOO_SLOW:
            return TooSlow(f"The statement was given up: it took longer than {self.statement_timeout:g} seconds.")
        if code.startswith(_LOST_CLASSES):
            return Retry(text)
        if code in _GONE:
            return Refused(text, kind=RefusalKind.GONE)
        return Refused(text, kind=RefusalKind.DATA if code.startswith(("22", "23", "21")) else RefusalKind.STATEMENT)

    def _explain_connecting(self, text: str) -> PluginError:
        host, port = self.options.get("host"), self.options.get("port") or 5432
        database, user = self.options.get("database"), self.options.get("user")
        halts = (
            (
                r"password authentication failed|no password supplied|SCRAM|fe_sendauth",
                f"PostgreSQL refused the password for the user {user}: check the user and the password.",
            ),
            (
                r'role ".*" does not exist|is not permitted to log in',
                f"PostgreSQL knows no user {user} that may log in: check the user.",
            ),
            (r'database ".*" does not exist', f"There is no database {database} on {host}: check the database's name."),
            (
                r"permission denied for database",
                f"The user {user} may not connect to the database {database}: grant it CONNECT.",
            ),
            (
                r"could not translate host name|Name or service not known|nodename nor servname",
                f"There is no host {host}: check the host's name.",
            ),
            (
                r"no pg_hba.conf entry",
                f"PostgreSQL on {host} does not let {user} in from this machine: add a line to its pg_hba.conf.",
            ),
            (r"server does not support SSL", f"PostgreSQL on {host} offers no SSL: choose another SSL setting."),
            (r"certificate", f"The certificate of {host} could not be verified: check the SSL setting."),
        )
        for pattern, sentence in halts:
            if re.search(pattern, text):
                return Halt(sentence)
        if "timeout expired" in text:
            return Retry(
                f"{host}:{port} did not answer within {CONNECT_TIMEOUT} seconds: check host, port and firewall."
            )
        if "Connection refused" in text:
            return Retry(f"Nothing answers at {host}:{port}: check host and port, and that PostgreSQL is running.")
        return Retry(f"PostgreSQL at {host}:{port} could not be reached: {_sentence(text)}")

    # ------------------------------------------------------------ reading records

    def after_mark(self, changed: str, id_column: str) -> str:
        return f"({changed}, {id_column}) > (%s, %s)"  # a row comparison starts at the right place of an index

    def beginning(self, type_code: Any) -> Any:
        if type_code in _TIMES:
            return "-infinity"
        return -(2**31) if type_code in _NUMBERS else ""

    def from_row(self, value: Any) -> Any:
        if isinstance(value, datetime):
            return _INFINITIES.get(value.replace(tzinfo=None), value)
        if isinstance(value, date):
            return _INFINITIES.get(value, value)
        return value

    # ------------------------------------------------------------ retrieving

    def key_table(self, columns: Sequence[KeyColumn]) -> str:
        if not columns:
            return "generate_series(1, %s) as _keys(_i)"
        arrays = ", ".join(f"%s::{column.type.sql}[]" for column in columns)
        names = ", ".join(column.name for column in columns)
        return f"unnest({arrays}) with ordinality as _keys({names}, _i)"

    def key_parameters(self, columns: Sequence[KeyColumn], values: Sequence[Sequence[Any]]) -> list[Any]:
        if not columns:
            return [len(values[0])]
        return [self.key_parameter(column.type, items) for column, items in zip(columns, values, strict=True)]

    def is_key(self, column: str, type_: str) -> str:
        return f"{column} = any(%s::{type_}[])"

    def key_parameter(self, type_: KeyType, values: Sequence[Any]) -> Any:
        if type_.sql in ("bigint", "numeric", "double precision"):  # much faster than adapting each
            return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"
        return list(values)

    def rows_of(self, sql: str, shape: Shape, limit: int | None) -> str:
        if limit is None:
            return f"array({sql})"
        return f"array(select * from ({sql}) t limit {limit})" if shape.limited else f"array({sql} limit {limit})"

    def array_of(self, column: str, order: str) -> str:
        return f"array_agg({column}{' ' + order if order else ''})"

    def read_rows(self, value: Any) -> list[Any]:
        if isinstance(value, list):
            return value
        return list(psycopg2.extensions.UNICODEARRAY(value, None))  # an array of a type the driver does not know

    def find_column_type(self, table: str, column: str, value_type: str) -> KeyType:
        cursor = self.execute(
            "select to_regclass(%s), (select format_type(coalesce(nullif(t.typbasetype, 0), t.oid), null)"
            " from pg_attribute a join pg_type t on t.oid = a.atttypid"
            " where a.attrelid = to_regclass(%s) and a.attname = %s and not a.attisdropped)",
            (*[self.quote_table(table).replace("%%", "%")] * 2, column),
        )
        relation, type_ = cursor.fetchone()
        cursor.close()
        if relation is None:
            raise Refused(f"The table {table} does not exist.", kind=RefusalKind.GONE)
        if type_ is None:
            raise Refused(f"The table {table} has no column {column}.", kind=RefusalKind.GONE)
        return _COLUMN_TYPES.get(type_) or KeyType(type_, to_text)

    def bind_value(self, value: Any, *, quoted: bool) -> Any:
        return to_text(value) if quoted or isinstance(value, str) else value

    def filter_value(self, value: Any) -> Any:
        return to_text(value)  # an untyped literal takes the column's own type


def _message(error: Exception) -> str:
    diagnostics = getattr(error, "diag", None)
    primary = getattr(diagnostics, "message_primary", None)
    return primary or type(error).__name__  # the error's own text would quote values


def _sentence(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    last = re.sub(r"^(.*?(FATAL|ERROR):\s*)", "", lines[-1]) if lines else "unknown error"
    return last[:1].upper() + last[1:].rstrip(".") + "."
