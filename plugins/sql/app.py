"""`SqlApp`: one connection to one SQL database, and the few things every dialect must say of itself.

The capabilities (`importing`, `retrieving`, `exporting`, `sampling`) are mixed in by the plugins and only use what is
here. Reading happens outside transactions in a session that is read-only; only `writing()` opens a transaction that
may write. Errors of the driver never leave: they become `Retry`, `Halt` or `Refused` with one sentence, and
secrets are never part of it.
"""

from __future__ import annotations

import time
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, cast

import sqlalchemy
from sqlalchemy.engine import URL
from sqlalchemy.pool import StaticPool

from plugins.base import App
from plugins.contracts import PluginError, Retry, Statement

CONNECT_TIMEOUT = 10  # seconds
COUNT_TIMEOUT = 2  # seconds: a count is only worth waiting for when it is cheap

Rows = Sequence[tuple[Any, ...]]


class SqlApp(App):
    """One SQL database. Subclasses give the class attributes and the methods marked abstract."""

    dialect: ClassVar[str]  # the name sqlglot knows it by
    driver_url: ClassVar[str]  # SQLAlchemy's drivername
    driver_error: ClassVar[type[Exception]]  # the DBAPI's base error
    placeholder: ClassVar[str] = "%s"
    quote_mark: ClassVar[str] = '"'
    backslash_escapes: ClassVar[bool] = False  # whether '\'' is a string of one quote

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._connection: Any = None
        self.statements: list[Statement] = []  # what was sent since the list was last taken

    # ------------------------------------------------------------ what a dialect must say

    @abstractmethod
    def open(self) -> Any:
        """A new DBAPI connection in autocommit mode and read-only. Driver errors may leave it."""

    @abstractmethod
    def explain(self, error: Exception, *, connecting: bool) -> PluginError:
        """What a driver's error means, as one sentence without values."""

    @abstractmethod
    def begin_writing(self) -> Sequence[str]:
        """The statements that open a transaction which may write."""

    def end_writing(self) -> Sequence[str]:
        """The statements that make the session read-only again after a writing transaction."""
        return ()

    def limit_time(self, seconds: float) -> Sequence[str]:
        """The statements that limit how long one statement may run; none where the dialect cannot."""
        return ()

    # ------------------------------------------------------------ connection

    @property
    def connection(self) -> Any:
        """The DBAPI connection, opened at its first use. Raises `Retry` or `Halt`."""
        if self._connection is None:
            try:
                self._connection = self.open()
            except (self.driver_error, OSError, ValueError) as error:
                raise self.explain(error, connecting=True) from None
        return self._connection

    @contextmanager
    def inspect(self) -> Iterator[sqlalchemy.Inspector]:
        """SQLAlchemy's inspector, over a connection of its own: SQLAlchemy changes how a connection reads values.

        Raises `Retry` or `Halt`.
        """
        try:
            connection = self.open()
        except (self.driver_error, OSError, ValueError) as error:
            raise self.explain(error, connecting=True) from None
        engine = sqlalchemy.create_engine(
            URL.create(self.driver_url), creator=lambda: connection, poolclass=StaticPool, hide_parameters=True
        )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", sqlalchemy.exc.SAWarning)  # of types that SQLAlchemy does not know
                yield sqlalchemy.inspect(engine)
        except sqlalchemy.exc.DBAPIError as error:
            raise self.explain(cast("Exception", error.orig), connecting=False) from None
        finally:
            engine.dispose()
            with suppress(self.driver_error):
                connection.close()  # closed already, unless SQLAlchemy never came to take it

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except self.driver_error:
                return  # it was lost already

    # ------------------------------------------------------------ statements

    def execute(self, sql: str, parameters: Sequence[Any] = (), *, many: Rows | None = None) -> Any:
        """Run one statement and give its cursor. Raises `Retry`, `Halt` or `Refused`."""
        cursor = self.connection.cursor()
        try:
            if many is not None:
                cursor.executemany(sql, many)
            elif parameters:
                cursor.execute(sql, parameters)
            else:
                cursor.execute(self.unescape(sql))
        except (self.driver_error, OSError) as error:
            meaning = self.explain(error, connecting=False)
            if self.is_lost(error):
                self.close()
            raise meaning from None
        return cursor

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """Column names and all rows of one SELECT, recorded in `statements`. Raises as `execute`."""
        started = time.monotonic()
        cursor = self.execute(sql, parameters)
        try:
            rows = cursor.fetchall()
        except (self.driver_error, OSError) as error:
            raise self.explain(error, connecting=False) from None
        columns = tuple(column[0] for column in cursor.description or ())
        cursor.close()
        self.statements.append(Statement(self.unescape(sql), time.monotonic() - started, len(rows)))
        return columns, rows if isinstance(rows, list) else list(rows)

    def run_all(self, statements: Sequence[str]) -> None:
        """Run statements that give nothing back."""
        for sql in statements:
            self.execute(sql).close()

    def take_statements(self) -> tuple[Statement, ...]:
        """The statements sent since this was last called."""
        taken, self.statements = tuple(self.statements), []
        return taken

    def is_lost(self, error: Exception) -> bool:
        """Whether the connection is of no more use after this error."""
        return isinstance(self.explain(error, connecting=False), Retry) and self.is_closed()

    def is_closed(self) -> bool:
        """Whether the driver knows its connection to be closed."""
        return False

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A transaction that may write: committed at the end, rolled back by any error."""
        self.run_all(self.begin_writing())
        try:
            yield
            self.execute("commit").close()
        except BaseException:
            self._roll_back()
            raise
        self.run_all(self.end_writing())

    def _roll_back(self) -> None:
        try:
            self.run_all(("rollback", *self.end_writing()))
        except PluginError:
            self.close()  # the connection is gone, and the transaction with it

    @contextmanager
    def time_limit(self, seconds: float) -> Iterator[None]:
        """Let no statement inside run longer than `seconds`, where the dialect can say so."""
        self.run_all(self.limit_time(seconds))
        try:
            yield
        finally:
            if self._connection is not None:
                self.run_all(self.limit_time(self.statement_timeout))

    # ------------------------------------------------------------ words of the dialect

    @property
    def statement_timeout(self) -> float:
        """Seconds one statement may run; 0 for no limit."""
        return float(self.options.get("statement_timeout") or 0)

    def quote(self, name: str) -> str:
        """One identifier in the dialect's quotes, safe inside a statement with parameters."""
        return self.escape(f"{self.quote_mark}{name.replace(self.quote_mark, self.quote_mark * 2)}{self.quote_mark}")

    def quote_table(self, name: str) -> str:
        """A table's name as a person writes it (`table` or `schema.table`), in quotes."""
        return ".".join(self.quote(part.strip(' "`')) for part in name.split("."))

    def escape(self, text: str) -> str:
        """Text as it must stand in a statement with parameters."""
        return text.replace("%", "%%") if self.placeholder == "%s" else text

    def unescape(self, sql: str) -> str:
        """A statement as it is sent once its parameters are bound."""
        return sql.replace("%%", "%") if self.placeholder == "%s" else sql
