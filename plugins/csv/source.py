"""Reading CSV files page by page, in a stream. A mark's `offset` is the byte where the next record starts.

For gzip it counts decompressed bytes. A mark's `id` holds how many lines lie before it, so that rejected rows keep
their line numbers after a restart. `count` and `Page.done_bytes` are in bytes of the file as it is stored.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from gzip import BadGzipFile
from pathlib import Path
from typing import TYPE_CHECKING

from plugins.base import FetchesFiles, GivesSamples, ImportsRecords
from plugins.contracts import (
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
from plugins.csv.reading import Reading, Rows, version_of
from plugins.csv.watching import ENDINGS, EVERY, Watched, find_files, find_next, is_pattern, look_at

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

_HEAD_BYTES = 1024 * 1024  # of a file at an address, to look at before a run fetches it whole


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

    _reading: Reading | None = None
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
        if not self._is_watched(source):
            return self._read(self._path_of(source), source, after=after, limit=limit)
        files = self._watched(source.path)
        following = find_next(files, after)
        if following is None:
            columns = self._sample(files[-1].path, limit=0).columns if files else ()
            return Page(columns, [], after or Mark(), more=False)
        file, place = following
        page = self._read(file.path, source, after=place, limit=limit)
        mark = file.mark(lines=page.mark.id or "", offset=page.mark.offset if page.more else None)
        more = page.more or find_next(files, mark) is not None
        if not is_pattern(source.path) and len(files) == 1:
            return replace(page, mark=mark, more=more)
        named = [replace(bad, text=f"{file.name}: {bad.text}") for bad in page.rejected]
        return replace(page, mark=mark, more=more, rejected=named, done_bytes=None)

    def _read(self, path: Path, source: RecordSource, *, after: Mark | None, limit: int) -> Page:
        """A page of one file."""
        with _errors_of(path):
            reading = self._open(path, after)
            rows, rejected = reading.take(limit)
            lines = reading.lines
            return Page(
                columns=reading.format.columns,
                rows=rows,
                mark=Mark(id=str(lines.number), offset=lines.offset),
                more=lines.has_more(),
                changed=_changed(reading.format.columns, rows, source.changed_column),
                rejected=rejected,
                done_bytes=reading.done_bytes(),
                notes=self._notes(reading, is_first=after is None),
            )

    def count(self, source: RecordSource, *, after: Mark | None) -> int | None:
        if self._is_watched(source):
            files = self._watched(source.path)
            if is_pattern(source.path) or len(files) != 1:
                return None  # how much of it earlier pages read is not known
            path = files[0].path
        else:
            path = self._path_of(source)
        with _errors_of(path):
            return path.stat().st_size

    def _is_watched(self, source: RecordSource) -> bool:
        """Whether it is a path of the folder, of which only what is new or changed is read."""
        return source.options.get("uploaded") is not True and not self.is_remote(source.path)

    def _watched(self, path: str) -> list[Watched]:
        """The files that a path of the folder means, as they are now. Raises `Halt` when one file is meant and gone."""
        if not path:
            raise Halt("The schedule names no file to read.")
        place = self.inside(path)
        with _errors_of(place):
            if is_pattern(path):
                return find_files(self.folder(), path)
            if place.is_dir():
                return find_files(self.folder(), str(place.relative_to(self.folder()) / EVERY))
            return [look_at(place, name=path)]

    def _path_of(self, source: RecordSource) -> Path:
        if source.options.get("uploaded") is True:  # the product's own word: the file is where it stored it
            return Path(source.path)
        return self._begin_of(source.path)

    def _file(self, name: str) -> Path:
        """A file to look at: as much as it takes of the one at the App's address, the newest that a pattern means."""
        if self.is_remote(name):
            return self._begin_of(name)
        files = self._watched(name)
        if not files:
            raise Halt(f"There is no CSV file {name} in the folder {self.folder()} yet.")
        return files[-1].path

    def _open(self, path: Path, after: Mark | None) -> Reading:
        reading = self._reading
        if reading is None or (reading.path, reading.version) != (path, version_of(path)):
            self._close_file()
            reading = self._reading = Reading(path)
        start = (reading.format.start, reading.format.start_line)
        place = (after.offset, int(after.id or 0)) if after is not None and after.offset is not None else start
        if place[0] != reading.lines.offset:
            reading.go_to(max(place, start)[0], max(place, start)[1])
        return reading

    def _notes(self, reading: Reading, *, is_first: bool) -> tuple[str, ...]:
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
                own = sorted(path.name for path in folder.iterdir() if path.name.lower().endswith(ENDINGS))
            names += [*own, EVERY] if len(own) > 1 else own
        return [Table(name, tuple(Column(column) for column in self._columns_of(name))) for name in names]

    def _columns_of(self, name: str) -> tuple[str, ...]:
        try:
            return self.sample(name, limit=0).columns
        except Halt:
            return ()  # asked for a sample, it says why it cannot be read

    def sample(self, table: str, *, limit: int = 10) -> Sample:
        return self._sample(self._file(table), limit=limit)

    def _sample(self, path: Path, *, limit: int) -> Sample:
        with _errors_of(path):
            reading = Reading(path)
            try:
                rows, _ = reading.take(limit)
            finally:
                reading.close()
        return Sample(reading.format.columns, tuple(rows))


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    with errors_of_files(path):
        try:
            yield
        except (EOFError, zlib.error, BadGzipFile):
            raise Halt(f"The compressed file {path.name} is damaged or not whole.") from None


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
