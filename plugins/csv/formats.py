"""How one CSV file is written: its encoding, line ends, delimiter and header, found from its beginning.

The same file always gives the same answer, so that a reader can go on from a byte offset on another machine.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from plugins.contracts import Halt

HEAD_BYTES = 256 * 1024
_BUFFER = 128 * 1024
LONGEST_LINE = 16 * 1024 * 1024
LONGEST_VALUE = 4 * 1024 * 1024
DELIMITERS = (",", ";", "\t")

csv.field_size_limit(LONGEST_VALUE)  # the module's own limit is 128 KB, for the whole process

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SEP_LINE = re.compile(r"sep=([,;\t])\r?\n?", re.IGNORECASE).fullmatch
_NAMES = {"utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "western": "Latin-1", "utf-8": "UTF-8"}
_SAMPLE_ROWS = 200


@dataclass(frozen=True, slots=True)
class Format:
    """`start` is the byte offset of the first record behind the header, `start_line` the number of lines before it."""

    encoding: str  # utf-8, utf-16-le, utf-16-be or western (Latin-1 with Windows' additions)
    newline: str
    delimiter: str
    columns: tuple[str, ...]
    start: int
    start_line: int
    notes: tuple[str, ...]


class Lines:
    """The decoded lines of a stream from `offset`; tells at any time where the next one starts.

    `offset` is in bytes, `number` is how many lines lie before it, `last` the line given last, `odd` the number of the
    first line that was no UTF-8 (0: none).
    """

    def __init__(self, stream: BinaryIO, encoding: str, newline: str, *, offset: int, number: int) -> None:
        self.offset = offset
        self.number = number
        self.last = ""
        self.odd = 0
        self._stream = stream
        self._encoding = encoding
        self._wrapped: io.TextIOWrapper | None = None
        self._kept = ""
        if stream.seek(offset) < offset or (offset and _ends_before(stream, offset)):
            raise Halt("The file has become shorter than where reading had come: start again with a new run.")
        if encoding.startswith("utf-16") or newline == "\r":
            self._codec = "latin-1" if encoding == "western" else encoding
            self._errors = "surrogatepass" if encoding.startswith("utf-16") else "surrogateescape"
            self._wrapped = io.TextIOWrapper(_Unclosed(stream), self._codec, errors=self._errors, newline=newline)

    def __iter__(self) -> Iterator[str]:
        return self._usual_lines() if self._wrapped is None else self._odd_lines(self._wrapped)

    def has_more(self) -> bool:
        """Whether a line is left."""
        if self._wrapped is None:
            return bool(cast("io.BufferedReader", self._stream).peek(1))
        self._kept = self._kept or self._wrapped.readline(LONGEST_LINE)
        return bool(self._kept)

    def _usual_lines(self) -> Iterator[str]:
        western = self._encoding == "western"
        read_line = self._stream.readline
        while raw := read_line(LONGEST_LINE):
            length = len(raw)
            if length >= LONGEST_LINE:
                raise Halt(f"Line {self.number + 1} is longer than 16 MB: this is probably no CSV file.")
            try:
                line = decode_western(raw) if western else raw.decode()
            except UnicodeDecodeError:
                line = decode_western(raw)
                self.odd = self.odd or self.number + 1
            self.offset += length
            self.number += 1
            self.last = line
            yield line

    def _odd_lines(self, wrapped: io.TextIOWrapper) -> Iterator[str]:
        while line := self._kept or wrapped.readline(LONGEST_LINE):
            self._kept = ""
            if len(line) >= LONGEST_LINE:
                raise Halt(f"Line {self.number + 1} is longer than 16 MB: this is probably no CSV file.")
            self.offset += len(line.encode(self._codec, self._errors))
            self.number += 1
            self.last = line
            yield line


def _ends_before(stream: BinaryIO, offset: int) -> bool:
    """Plain files may be sought behind their end; compressed ones stop at it."""
    return isinstance(getattr(stream, "raw", None), io.FileIO) and os.fstat(stream.fileno()).st_size < offset


class _Unclosed(io.BufferedIOBase):
    """A stream that a wrapper may drop without closing it."""

    name = ""  # wrappers ask for it

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        return self._stream.read(-1 if size is None else size)

    def read1(self, size: int = -1, /) -> bytes:
        return self._stream.read(size if size > 0 else 65_536)


def open_stream(path: Path) -> tuple[BinaryIO, BinaryIO]:
    """The stream of a file's bytes, decompressed where it is gzip, and the stored file itself."""
    stored = io.BufferedReader(path.open("rb", buffering=0), _BUFFER)
    if stored.peek(2)[:2] == b"\x1f\x8b":
        return cast("BinaryIO", io.BufferedReader(gzip.GzipFile(fileobj=stored), _BUFFER)), stored
    return stored, stored


def decode_western(raw: bytes) -> str:
    """Latin-1 as it is met: with the characters Windows put at the places that Latin-1 leaves to control codes."""
    try:
        return raw.decode("cp1252")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


# ---------------------------------------------------------------- finding the format


def find_format(stream: BinaryIO) -> Format:
    """Look at the beginning of a file. Raises `Halt` when it cannot be CSV."""
    stream.seek(0)
    head = _read_head(stream)
    if head[:4] == b"PK\x03\x04":
        raise Halt("This is a spreadsheet or zip file: save it as CSV first.")
    encoding, bom = _find_encoding(head)
    text = _decode(head[bom:], encoding)
    newline = "\r" if "\r" in text and "\n" not in text else "\n"
    lines = Lines(stream, encoding, newline, offset=bom, number=0)
    told = _SEP_LINE(text[:7].partition(newline)[0])
    if told:
        next(iter(lines))
    delimiter = told[1] if told else _find_delimiter(text, newline, whole=len(head) < HEAD_BYTES)
    columns = _read_header(lines, delimiter)
    notes = [f"Read as {_NAMES[encoding]}."] if encoding != "utf-8" else []
    if not columns:
        notes.append("The file is empty.")
    names, renamed = _name_columns(columns)
    return Format(encoding, newline, delimiter, names, lines.offset, lines.number, (*notes, *renamed))


def _read_head(stream: BinaryIO) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size < HEAD_BYTES and (part := stream.read(HEAD_BYTES - size)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _find_encoding(head: bytes) -> tuple[str, int]:
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding, len(mark)
    if len(head) >= 4 and head.count(0) > len(head) // 4:  # no BOM, but every second byte of plain text is zero
        return ("utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"), 0
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < HEAD_BYTES)
    except UnicodeDecodeError:
        return "western", 0
    return "utf-8", 0


def _decode(head: bytes, encoding: str) -> str:
    return decode_western(head) if encoding == "western" else head.decode(encoding, "ignore")


def _find_delimiter(text: str, newline: str, *, whole: bool) -> str:
    """The delimiter under which most rows of the sample are as wide as the header, and then the widest."""
    lines = io.StringIO(text, newline=newline).readlines()
    if not whole:
        lines = lines[:-1]
    best, found = (0.0, 1), DELIMITERS[0]
    for delimiter in DELIMITERS:
        widths = _widths(lines, delimiter)
        if not widths or widths[0] < 2:
            continue
        score = (round(widths.count(widths[0]) / len(widths), 1), widths[0])
        if score > best:
            best, found = score, delimiter
    return found


def _widths(lines: Sequence[str], delimiter: str) -> list[int]:
    widths: list[int] = []
    try:
        for row in csv.reader(lines, delimiter=delimiter):
            if row:
                widths.append(len(row))
            if len(widths) >= _SAMPLE_ROWS:
                break
    except csv.Error:
        pass  # what came before it is sample enough
    return widths


def _read_header(lines: Lines, delimiter: str) -> list[str]:
    try:
        for row in csv.reader(lines, delimiter=delimiter):
            if any(cell.strip() for cell in row):
                return row
    except csv.Error as error:
        raise Halt(f"The header of the file cannot be read: {error}.") from None
    return []


def _name_columns(header: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """The columns' names, each of them once: "name (2)" for the second one, "column 3" for one without."""
    names: list[str] = []
    notes: list[str] = []
    for place, cell in enumerate(header, start=1):
        wanted = cell.strip() or f"column {place}"
        name, times = wanted, 1
        while name in names:
            times += 1
            name = f"{wanted} ({times})"
        if times > 1:
            notes.append(f'The column "{wanted}" is there more than once; this one is called "{name}".')
        names.append(name)
    return tuple(names), notes
