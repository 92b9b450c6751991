"""What an export holds, kept durably beside its files: the journal that CSV files are made from.

Files can neither be changed in the middle nor asked for one person. So every batch is committed to a small SQLite
database in the folder, the last word for each key winning, and the files are written from it as a whole.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from plugins.contracts import Halt, Retry

NAME = ".grouparoo-export.sqlite3"

_SCHEMA = """
create table if not exists held (key text primary key, payload text not null) without rowid;
create table if not exists member (name text, key text, primary key (name, key)) without rowid;
create index if not exists member_key on member (key);
create table if not exists file (name text primary key) without rowid;
create table if not exists state (one integer primary key check (one = 1), published text not null);
"""
_KEYS_AT_ONCE = 500


class Store:
    """One folder's journal. Used in one `with opened(...)`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def existing(self, keys: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        """The payloads held for these keys."""
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            part = keys[start : start + _KEYS_AT_ONCE]
            marks = ",".join("?" * len(part))
            sql = f"select key, payload from held where key in ({marks})"
            found.update((key, json.loads(payload)) for key, payload in self._connection.execute(sql, part))
        return found

    def write(
        self,
        *,
        gone: Sequence[str],
        held: Mapping[str, Mapping[str, Any]],
        groups: Mapping[str, Sequence[str]],
    ) -> None:
        """Take a batch in one durable transaction: forget `gone`, then hold `held`, and `groups` for their keys."""
        run = self._connection
        with run:
            run.execute("delete from state")
            keys = [(key,) for key in gone]
            run.executemany("delete from held where key = ?", keys)
            run.executemany("delete from member where key = ?", keys + [(key,) for key in groups])
            run.executemany(
                "insert into held values (?, ?) on conflict (key) do update set payload = excluded.payload",
                [(key, json.dumps(payload, ensure_ascii=False)) for key, payload in held.items()],
            )
            run.executemany(
                "insert or ignore into member values (?, ?)",
                [(name, key) for key, names in groups.items() for name in names],
            )

    def everyone(self) -> Iterator[dict[str, Any]]:
        """All payloads in the order of their keys."""
        for (payload,) in self._connection.execute("select payload from held order by key"):
            yield json.loads(payload)

    def members(self, group: str) -> Iterator[dict[str, Any]]:
        """The payloads of one group in the order of their keys."""
        sql = "select payload from member join held using (key) where name = ? order by member.key"
        for (payload,) in self._connection.execute(sql, (group,)):
            yield json.loads(payload)

    def is_published(self, what: str) -> bool:
        """Whether nothing was written since `publish(what)`."""
        return bool(self._connection.execute("select published from state").fetchone() == (what,))

    def files(self) -> set[str]:
        """The names of the files that were written from here."""
        return {name for (name,) in self._connection.execute("select name from file")}

    def name_files(self, names: Sequence[str]) -> None:
        """Remember files before they are written, so that none is forgotten in the folder."""
        with self._connection:
            self._connection.executemany("insert or ignore into file values (?)", [(name,) for name in names])

    def publish(self, what: str, *, files: Sequence[str]) -> None:
        """Say that the files show everything, in the shape `what`."""
        with self._connection:
            self._connection.execute("delete from file")
            self._connection.executemany("insert into file values (?)", [(name,) for name in files])
            self._connection.execute("insert or replace into state values (1, ?)", (what,))


@contextmanager
def opened(folder: Path) -> Iterator[Store]:
    """The journal of a folder, made at its first use. Raises `Retry` and `Halt`."""
    try:
        with closing(sqlite3.connect(folder / NAME, timeout=20)) as connection:
            connection.execute("pragma synchronous = full")
            connection.executescript(_SCHEMA)
            yield Store(connection)
    except sqlite3.OperationalError as error:
        words = str(error)
        if "unable to open" in words or "readonly" in words:
            raise Halt(f"The folder {folder} cannot be written to: change its permissions.") from None
        raise Retry(f"The folder {folder} cannot be written to just now: {words}.") from None
    except sqlite3.DatabaseError:
        raise Halt(f"{folder / NAME} is damaged: remove it and export everything again.") from None
