"""Reading CSV files page by page, in a stream. A mark's `offset` is the byte where the next record starts.

For gzip it counts decompressed bytes. A mark's `id` holds how many lines lie before it, so that rejected rows keep
their line numbers after a restart. `count` and `Page.done_bytes` are in bytes of the file as it is stored.
"""

from __future__ import annotations

import csv
import os
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from gzip import BadGzipFile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plugins.base import FetchesFiles, GivesSamples, ImportsRecords
from plugins.contracts import (
    BadRow,
    Column,
    Halt,
    Mark,
    Page,
    PluginError,
    RecordSource,
    Sample,
    Table,
    TestResult,
)
from plugins.csv.app import CsvFolder, errors_of_files
from plugins.csv.fetching import fetch
from plugins.csv.formats import Lines, find_format, open_stream

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
_HEAD_BYTES = 1024 * 1024  # of a file at an address, to look at before a run fetches it whole
_SHOWN = 500  # characters of a rejected row
_NO_END = "a quote is opened and never closed"
_END_IN_QUOTES = "unexpected end of data"  # the csv module's own words

Rows = list[tuple[Any, ...]]


class _Reading:
    """A file that is open, and how far it was read. Raises `OSError`, `Halt`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.version = _version(path)
        self.stream, self.stored = open_stream(path)
        try:
            self.format = find_format(self.stream)
            self.go_to(self.format.start, self.format.start_line)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.stream.close()
        self.stored.close()

    def go_to(self, offset: int, number: int) -> None:
        """Read on from another place: `number` lines lie before it."""
        told = self.format
        self.lines = Lines(self.stream, told.encoding, told.newline, offset=offset, number=number)
        self._read_on()

    def _read_on(self) -> None:
        self._line_of = iter(self.lines)
        self._records = csv.reader(self._line_of, delimiter=self.format.delimiter)

    def take(self, limit: int) -> tuple[Rows, list[BadRow]]:
        """The next records, at most `limit` with those that are rejected."""
        rows: Rows = []
        rejected: list[BadRow] = []
        width = len(self.format.columns)
        while len(rows) + len(rejected) < limit:
            lines = self.lines
            start = behind = (lines.offset, lines.number)
            into: list[Any] | None = None
            try:
                for row in self._records:
                    start, behind = behind, (lines.offset, lines.number)
                    into = rows if len(row) == width else rejected if row else None
                    if into is rows:
                        rows.append(tuple(row))
                    elif row:
                        rejected.append(_ragged(row, width, start[1], behind[1]))
                    if len(rows) + len(rejected) >= limit:
                        break
            except csv.Error as error:
                rejected.append(self._reject_line(behind, error))
                continue
            error_at_end = None if lines.has_more() else self._find_open_quote(start)
            if error_at_end is None:
                break
            if into is not None:
                into.pop()
            rejected.append(self._reject_line(start, error_at_end))
        return rows, rejected

    def _find_open_quote(self, start: tuple[int, int]) -> csv.Error | None:
        """The csv module takes an open quote at the end of a file for closed; this is its error for the last record."""
        length = self.lines.number - start[1]
        text = [self.lines.last]
        if length > 1:
            self.go_to(*start)
            text = list(self._line_of)
        try:
            list(csv.reader(text if length else [], delimiter=self.format.delimiter, strict=True))
        except csv.Error as error:
            return error if _END_IN_QUOTES in str(error) else None
        return None

    def _reject_line(self, start: tuple[int, int], error: csv.Error) -> BadRow:
        """Reject one line alone, for an open quote would take all lines behind it along."""
        self.go_to(*start)
        text = next(self._line_of, "")
        words = str(error)
        reason = _NO_END if _END_IN_QUOTES in words or "field limit" in words else f"cannot be read: {words}"
        return BadRow(start[1] + 1, reason, text[:_SHOWN])

    def done_bytes(self) -> int:
        return self.lines.offset if self.stream is self.stored else self.stored.tell()


class _Enough(Exception):
    """As much of a file has come as was wanted."""


class _Head:
    """Takes the beginning of a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.left = _HEAD_BYTES

    def write(self, part: bytes, /) -> None:
        with self.path.open("ab") as file:
            file.write(part[: self.left])
        self.left -= len(part)
        if self.left <= 0:
            raise _Enough


class CsvSource(CsvFolder, GivesSamples, ImportsRecords, FetchesFiles):
    """The import half."""

    _reading: _Reading | None = None
    _odd_told = False
    _head: Path | None = None  # the beginning of the file at the App's address, for the life of the connection

    def close(self) -> None:
        self._close_file()
        head, self._head = self._head, None
        if head is not None:
            head.unlink(missing_ok=True)

    def _close_file(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.close()

    def test(self) -> TestResult:
        if not self.options.get("url"):
            return super().test()
        name = self._remote_name()
        try:
            self.sample(name, limit=0)
        except PluginError as error:
            return TestResult(ok=False, message=error.reason)
        return super().test() if self.options.get("folder") else TestResult(ok=True, message=f"{name} can be read.")

    # ------------------------------------------------------------ a file at an address

    def is_remote(self, path: str) -> bool:
        return path.startswith(("http://", "https://"))

    def fetch(self, path: str, into: SupportsWrite[bytes]) -> None:
        if path != self._remote_name():
            raise Halt(f"The URL of this App is another one now: choose its file in the schedule, instead of {path}.")
        fetch(
            self.options["url"],
            into,
            authorization=str(self.options.get("authorization") or ""),
            private_hosts_allowed=self.private_hosts_allowed,
        )

    def _remote_name(self) -> str:
        """The address without its query, which may be a key to the file and change."""
        return str(self.options.get("url") or "").partition("#")[0].partition("?")[0]

    def _begin_of(self, path: str) -> Path:
        if self._head is None:
            handle, name = tempfile.mkstemp(suffix=".csv")
            os.close(handle)
            head = Path(name)
            try:
                with suppress(_Enough):
                    self.fetch(path, _Head(head))
            except BaseException:
                head.unlink()
                raise
            self._head = head
        return self._head

    # ------------------------------------------------------------ pages

    def read_page(self, source: RecordSource, *, after: Mark | None, limit: int) -> Page:
        path = self._path_of(source)
        with _errors_of(path):
            reading = self._open(path, after)
            rows, rejected = reading.take(limit)
            lines = reading.lines
            mark = Mark(id=str(lines.number), offset=lines.offset)
            return Page(
                columns=reading.format.columns,
                rows=rows,
                mark=mark,
                more=lines.has_more(),
                changed=_changed(reading.format.columns, rows, source.changed_column),
                rejected=rejected,
                done_bytes=reading.done_bytes(),
                notes=self._notes(reading, is_first=after is None),
            )

    def count(self, source: RecordSource, *, after: Mark | None) -> int | None:
        path = self._path_of(source)
        with _errors_of(path):
            return path.stat().st_size

    def _path_of(self, source: RecordSource) -> Path:
        if not source.path:
            raise Halt("The schedule names no file to read.")
        if source.options.get("uploaded") is True:  # the product's own word: the file is where it stored it
            return Path(source.path)
        return self._file(source.path)

    def _file(self, name: str) -> Path:
        """A file of the folder, or as much as it takes to look at the one at the App's address."""
        return self._begin_of(name) if self.is_remote(name) else self.inside(name)

    def _open(self, path: Path, after: Mark | None) -> _Reading:
        reading = self._reading
        if reading is None or (reading.path, reading.version) != (path, _version(path)):
            self._close_file()
            reading = self._reading = _Reading(path)
        start = (reading.format.start, reading.format.start_line)
        place = (after.offset, int(after.id or 0)) if after is not None and after.offset is not None else start
        if place[0] != reading.lines.offset:
            reading.go_to(max(place, start)[0], max(place, start)[1])
        return reading

    def _notes(self, reading: _Reading, *, is_first: bool) -> tuple[str, ...]:
        notes = reading.format.notes if is_first else ()
        if reading.lines.odd and not self._odd_told:
            self._odd_told = True
            notes = (*notes, f"Line {reading.lines.odd} and perhaps others are not UTF-8 and were read as Latin-1.")
        return notes

    # ------------------------------------------------------------ samples

    def tables(self) -> Sequence[Table]:
        names = [self._remote_name()] if self.options.get("url") else []
        if self.options.get("folder"):
            folder = self.folder()
            with errors_of_files(folder):
                names += sorted(path.name for path in folder.iterdir() if path.name.lower().endswith(ENDINGS))
        return [Table(name, tuple(Column(column) for column in self._columns_of(name))) for name in names]

    def _columns_of(self, name: str) -> tuple[str, ...]:
        try:
            return self.sample(name, limit=0).columns
        except Halt:
            return ()  # asked for a sample, it says why it cannot be read

    def sample(self, table: str, *, limit: int = 10) -> Sample:
        path = self._file(table)
        with _errors_of(path):
            reading = _Reading(path)
            try:
                rows, _ = reading.take(limit)
            finally:
                reading.close()
        return Sample(reading.format.columns, tuple(rows))


def _version(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    with errors_of_files(path):
        try:
            yield
        except (EOFError, zlib.error, BadGzipFile):
            raise Halt(f"The compressed file {path.name} is damaged or not whole.") from None


def _ragged(row: Sequence[str], width: int, before: int, behind: int) -> BadRow:
    reason = f"{len(row)} value{'s' * (len(row) != 1)} where the header has {width}"
    if behind - before > 1:
        reason += f"; it runs over {behind - before} lines, perhaps a quote is not closed"
    return BadRow(before + 1, reason, ",".join(row)[:_SHOWN])


def _changed(columns: Sequence[str], rows: Rows, name: str) -> Sequence[datetime | None]:
    if not name:
        return ()
    if name not in columns:
        raise Halt(f"The file has no column {name}. Its columns are: {', '.join(columns)}.")
    place = columns.index(name)
    return [_read_time(row[place]) for row in rows]


def _read_time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
