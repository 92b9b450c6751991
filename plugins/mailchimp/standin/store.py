"""What the stand-in remembers: one SQLite file. Every request is one transaction, committed before it is answered.

The only module that reads or writes that file. Tables: `list` (with its merge fields), `member`, `tag` (names are
known without regard to case), `member_tag`, `tag_change` (every tag that a call gave or took, as it came), `event`, and
`forgotten` (addresses that were deleted for good). `member.last_changed` is in whole seconds, as Mailchimp's is.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

_TABLES = """
create table if not exists list (id text primary key, name text not null, merge_fields text not null);
create table if not exists member (
    list_id text, hash text, email text not null, status text not null, was text not null default '',
    reason text not null default '', merge_fields text not null, last_changed text not null, joined text not null,
    primary key (list_id, hash));
create index if not exists member_changed on member (list_id, last_changed, hash);
create table if not exists tag (
    id integer primary key, list_id text not null, name text not null collate nocase, unique (list_id, name));
create table if not exists member_tag (
    list_id text, hash text, tag_id integer references tag, added text not null, primary key (list_id, hash, tag_id));
create table if not exists tag_change (
    id integer primary key, list_id text not null, hash text not null, name text not null, active integer not null,
    is_syncing integer not null);
create table if not exists event (
    id integer primary key, list_id text not null, hash text not null, received_at text not null, body text not null);
create index if not exists event_member on event (list_id, hash);
create table if not exists forgotten (list_id text, hash text, primary key (list_id, hash));
"""

_ADDED_LATER = ("alter table member add column vip integer not null default 0",)
_ORDERS = {  # what members can be sorted by, with an order of its own among equals
    "": "hash",
    "last_changed": "last_changed {}, hash",
    "timestamp_opt": "joined {}, hash",
    "timestamp_signup": "joined {}, hash",
}
_END_OF_TIME = "9999"

Row = Mapping[str, Any]


class Store:
    """One file, used by many threads; one of them at a time."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = normal")
        self._connection.executescript(_TABLES)
        for statement in _ADDED_LATER:
            with suppress(sqlite3.OperationalError):  # it was added before
                self._connection.execute(statement)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and nobody else meanwhile."""
        with self._lock:
            self._connection.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._connection.execute("rollback")
                raise
            self._connection.execute("commit")

    def _run(self, sql: str, *values: Any) -> list[Row]:
        with self._lock:
            return [dict(row) for row in self._connection.execute(sql, values)]

    # ------------------------------------------------------------ audiences

    def add_list(self, list_id: str, name: str, merge_fields: Sequence[Row] = ()) -> None:
        """Make an audience; one that is there stays as it is."""
        self._run("insert or ignore into list values (?, ?, ?)", list_id, name, json.dumps(list(merge_fields)))

    def lists(self) -> list[Row]:
        """All audiences with the number of their members who were not archived."""
        return self._run(
            "select l.id, l.name, (select count(*) from member m where m.list_id = l.id and m.status <> 'archived')"
            " as members from list l order by l.name"
        )

    def merge_fields(self, list_id: str) -> list[dict[str, Any]] | None:
        """An audience's merge fields; None when there is no such audience."""
        rows = self._run("select merge_fields from list where id = ?", list_id)
        return list(json.loads(rows[0]["merge_fields"])) if rows else None

    def set_merge_fields(self, list_id: str, merge_fields: Sequence[Row]) -> None:
        """Replace an audience's merge fields."""
        self._run("update list set merge_fields = ? where id = ?", json.dumps(list(merge_fields)), list_id)

    def delete_list(self, list_id: str) -> None:
        """Take an audience away with everything in it."""
        for table in ("member", "member_tag", "tag_change", "event", "forgotten"):
            self._run(f"delete from {table} where list_id = ?", list_id)
        self._run("delete from list where id = ?", list_id)

    # ------------------------------------------------------------ members

    def member(self, list_id: str, hash_: str) -> dict[str, Any] | None:
        """One member by hash or by address, archived or not."""
        rows = self._run(
            "select * from member where list_id = ? and (hash = ? or email = ? collate nocase)", list_id, hash_, hash_
        )
        return _read_member(rows[0]) if rows else None

    def members(
        self,
        list_id: str,
        *,
        status: str = "",
        since: str = "",
        before: str = "",
        sort: str = "",
        descending: bool = False,
        limit: int,
        offset: int = 0,
    ) -> tuple[list[dict[str, Any]], int]:
        """A page of members, archived ones only when asked for; and how many there are. `since` and `before` are times
        of the last change, themselves not among them."""
        where = f"list_id = ? and status {'=' if status else '<>'} ? and last_changed > ? and last_changed < ?"
        values = (list_id, status or "archived", since, before or _END_OF_TIME)
        order = _ORDERS[sort].format("desc" if descending else "asc")
        rows = self._run(
            f"select * from member where {where} order by {order} limit ? offset ?", *values, limit, offset
        )
        total = self._run(f"select count(*) as total from member where {where}", *values)
        return [_read_member(row) for row in rows], int(total[0]["total"])

    def save_member(self, list_id: str, old_hash: str, member: Row, *, changed: str = "") -> None:
        """Write a member, whose hash may be another one than before; as changed now, or when a test says."""
        self._run("delete from member where list_id = ? and hash = ?", list_id, old_hash)
        self._run(
            "insert or replace into member values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            list_id,
            member["hash"],
            member["email"],
            member["status"],
            member.get("was", ""),
            member.get("reason", ""),
            json.dumps(member["merge_fields"]),
            changed or now("seconds"),
            member.get("joined") or now("seconds"),
            bool(member.get("vip")),
        )
        if member["hash"] != old_hash:
            for table in ("member_tag", "tag_change", "event"):
                self._run(
                    f"update {table} set hash = ? where list_id = ? and hash = ?", member["hash"], list_id, old_hash
                )

    def forget(self, list_id: str, hash_: str) -> None:
        """Delete a member for good."""
        for table in ("member", "member_tag", "tag_change", "event"):
            self._run(f"delete from {table} where list_id = ? and hash = ?", list_id, hash_)
        self._run("insert or ignore into forgotten values (?, ?)", list_id, hash_)

    def is_forgotten(self, list_id: str, hash_: str) -> bool:
        """Whether this address was deleted for good."""
        return bool(self._run("select 1 as it from forgotten where list_id = ? and hash = ?", list_id, hash_))

    # ------------------------------------------------------------ tags and events

    def tags(self, list_id: str, hash_: str) -> list[dict[str, Any]]:
        """A member's tags by name."""
        rows = self._run(
            "select t.id, t.name, m.added as date_added from member_tag m join tag t on t.id = m.tag_id"
            " where m.list_id = ? and m.hash = ? order by t.name",
            list_id,
            hash_,
        )
        return [dict(row) for row in rows]

    def find_tags(self, list_id: str, beginning: str) -> list[Row]:
        """The audience's tags whose name begins so."""
        return self._run(
            "select id, name from tag where list_id = ? and substr(name, 1, ?) = ? collate nocase order by name",
            list_id,
            len(beginning),
            beginning,
        )

    def set_tag(self, list_id: str, hash_: str, name: str, *, active: bool, is_syncing: bool = False) -> None:
        """Give a member a tag, which is made when nobody has had it yet, or take it away."""
        change = (list_id, hash_, name, active, is_syncing)
        self._run("insert into tag_change (list_id, hash, name, active, is_syncing) values (?, ?, ?, ?, ?)", *change)
        if active:
            self._run("insert or ignore into tag (list_id, name) values (?, ?)", list_id, name)
            self._run(
                "insert or ignore into member_tag select ?, ?, id, ? from tag where list_id = ? and name = ?",
                *(list_id, hash_, now(), list_id, name),
            )
        else:
            self._run(
                "delete from member_tag where list_id = ? and hash = ?"
                " and tag_id in (select id from tag where list_id = ? and name = ?)",
                *(list_id, hash_, list_id, name),
            )

    def tag_changes(self, list_id: str) -> list[Row]:
        """Every tag that was given or taken, in order: the member's address, the tag, and how it came."""
        return self._run(
            "select m.email, c.name, c.active, c.is_syncing from tag_change c"
            " left join member m on m.list_id = c.list_id and m.hash = c.hash where c.list_id = ? order by c.id",
            list_id,
        )

    def touch(self, list_id: str, hash_: str) -> None:
        """A member was changed just now."""
        self._run("update member set last_changed = ? where list_id = ? and hash = ?", now("seconds"), list_id, hash_)

    def add_event(self, list_id: str, hash_: str, body: Row) -> None:
        """Keep an event as it came."""
        text = json.dumps(body, ensure_ascii=False)
        self._run(
            "insert into event (list_id, hash, received_at, body) values (?, ?, ?, ?)", list_id, hash_, now(), text
        )

    def events(self, list_id: str, *, hash_: str = "", limit: int = 1000, newest_first: bool = False) -> list[Row]:
        """Events with the address of their member, in the order of arrival or the newest first."""
        order = "desc" if newest_first else "asc"
        rows = self._run(
            "select e.id, e.received_at, e.body, m.email from event e"
            " left join member m on m.list_id = e.list_id and m.hash = e.hash"
            f" where e.list_id = ? and (? = '' or e.hash = ?) order by e.id {order} limit ?",
            *(list_id, hash_, hash_, limit),
        )
        return [{**row, "body": json.loads(row["body"])} for row in rows]

    def count_events(self, list_id: str) -> int:
        """How many events an audience has."""
        return int(self._run("select count(*) as total from event where list_id = ?", list_id)[0]["total"])


def now(timespec: Literal["seconds", "microseconds"] = "microseconds") -> str:
    """The time as Mailchimp writes it, which is in seconds; to the microsecond where order is to be seen."""
    return datetime.now(UTC).isoformat(timespec=timespec)


def _read_member(row: Row) -> dict[str, Any]:
    return {**row, "vip": bool(row["vip"]), "merge_fields": json.loads(row["merge_fields"])}
