"""My tool for Grouparoo: takes profiles and events.

This is a plugin that works: its tool is a SQLite file. Put your tool's own calls where the statements are, option by
option and method by method, and keep the tests green.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from plugins.base import App, ExportsProfiles, ForwardsEvents, ReadsBack, TestsConnection
from plugins.contracts import (
    ACCEPTED,
    AppSpec,
    Halt,
    Option,
    OutboundItem,
    Outcome,
    OutcomeKind,
    ProfileExport,
    Retry,
    SyncMode,
    Target,
    TestResult,
)

# A secret such as an API key is an Option of the kind OptionKind.SECRET: encrypted at rest, masked everywhere.
OPTIONS = (
    Option(
        "file",
        "File",
        required=True,
        placeholder="var/my_tool.sqlite",
        help="Where the tool keeps what it receives. It is made when its folder exists.",
    ),
)


class MyToolApp(App, TestsConnection, ExportsProfiles, ReadsBack, ForwardsEvents):
    """One open connection to My tool."""

    spec = AppSpec(
        key="my_tool",
        label="My tool",
        description="Sends profiles and events to My tool.",
        icon="puzzle",  # a name from lucide.dev
        categories=("other",),
        options=OPTIONS,
        parallel_calls=1,
    )
    sync_modes = frozenset({SyncMode.SYNC, SyncMode.ADDITIVE})
    repeatable = True  # an event that comes twice is told by its id

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._connection: sqlite3.Connection | None = None

    def test(self) -> TestResult:
        """Whether it works, in a sentence that says what to mend when it does not."""
        try:
            with self._tool() as tool:
                tool.execute("select count(*) from profile")
        except (Halt, Retry) as error:
            return TestResult(ok=False, message=error.reason)
        return TestResult(ok=True, message="My tool is there.")

    def export(self, target: Target, batch: Sequence[ProfileExport]) -> Sequence[Outcome]:
        """Hold what is new, let go of what is old; sent twice it is as sent once."""
        with self._tool() as tool:
            return [self._export_one(tool, target, item) for item in batch]

    def read_back(self, target: Target, keys: Sequence[Any]) -> Mapping[Any, Mapping[str, Any]]:
        """What the tool holds: asked after a crash, to find out what had arrived."""
        with self._tool() as tool:
            rows = tool.execute(
                "select key, payload from profile where key in (select value from json_each(?))", [json.dumps(keys)]
            )
            return {key: json.loads(payload) for key, payload in rows}

    def forward(self, batch: Sequence[OutboundItem]) -> Sequence[Outcome]:
        """Take events, those of one profile in their order."""
        with self._tool() as tool:
            rows = [(item.id, item.type, json.dumps(item.body)) for item in batch]
            tool.executemany("insert or ignore into event (id, type, body) values (?, ?, ?)", rows)
        return [ACCEPTED] * len(batch)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _export_one(self, tool: sqlite3.Connection, target: Target, item: ProfileExport) -> Outcome:
        old_key = item.old[target.key_field] if item.old and item.release_old_key else None
        new_key = item.new[target.key_field] if item.new else None
        if item.new is not None and not new_key:
            return Outcome(OutcomeKind.REJECT, f"My tool knows people by {target.key_field}, and this one has none.")
        if old_key is not None and old_key != new_key and (item.new or target.mode is SyncMode.SYNC):
            tool.execute("delete from profile where key = ?", [old_key])
        if item.new is not None:
            tool.execute("insert or replace into profile (key, payload) values (?, ?)", [new_key, json.dumps(item.new)])
        return ACCEPTED

    @contextmanager
    def _tool(self) -> Iterator[sqlite3.Connection]:
        """The connection, made when it is first needed, in a transaction; errors in the contract's words.

        Say what happens next by the kind of error: `Retry` for what passes by itself, `Halt` for what a person has to
        mend, and for one bad item an outcome `REJECT`.
        """
        try:
            if self._connection is None:
                self._connection = _open(Path(self.options["file"]))
            with self._connection:
                yield self._connection
        except sqlite3.DatabaseError as error:
            self.close()
            raise Retry(f"My tool did not answer: {error}.") from None


def _open(path: Path) -> sqlite3.Connection:
    if not path.parent.is_dir():
        raise Halt(f"There is no folder {path.parent}: make it, or choose another file.")
    connection = sqlite3.connect(path)
    connection.execute("create table if not exists profile (key text primary key, payload text not null)")
    connection.execute("create table if not exists event (id text primary key, type text, body text not null)")
    return connection
