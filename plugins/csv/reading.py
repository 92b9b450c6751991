"""One CSV file that is open: its records, those that cannot be read, and how far reading has come."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plugins.contracts import BadRow
from plugins.csv.formats import Lines, find_format, open_stream

_SHOWN = 500  # characters of a rejected row
_NO_END = "a quote is opened and never closed"
_END_IN_QUOTES = "unexpected end of data"  # the csv module's own words

Rows = list[tuple[Any, ...]]


class Reading:
    """A file that is open, and how far it was read. Raises `OSError`, `Halt`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.version = version_of(path)
        self.stream, self.stored = open_stream(path)
        try:
            self.format = find_format(self.stream)
            self.go_to(self.format.start, self.format.start_line)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
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
        """How far in, in bytes of the file as it is stored."""
        return self.lines.offset if self.stream is self.stored else self.stored.tell()


def version_of(path: Path) -> tuple[int, ...]:
    """What changes when a file does."""
    found = path.stat()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _ragged(row: Sequence[str], width: int, before: int, behind: int) -> BadRow:
    reason = f"{len(row)} value{'s' * (len(row) != 1)} where the header has {width}"
    if behind - before > 1:
        reason += f"; it runs over {behind - before} lines, perhaps a quote is not closed"
    return BadRow(before + 1, reason, ",".join(row)[:_SHOWN])
