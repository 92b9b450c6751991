"""Reading CSV files: encodings, delimiters, quotes, ragged rows, gzip, going on from a mark."""

from __future__ import annotations

import csv
import gzip
import io
import tracemalloc
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.contracts import BadRow, Halt, Mark, RecordSource
from plugins.csv import Csv


@dataclass
class Read:
    columns: tuple[str, ...] = ()
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    rejected: list[BadRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    done_bytes: int = 0


def read(path: Path, *, limit: int = 100, anew: bool = False) -> Read:
    """Read a whole file in pages, `anew` with a new connection for each."""
    result, mark, more = Read(), None, True
    app = Csv({"folder": str(path.parent)})
    while more:
        page = app.read_page(RecordSource(path=path.name), after=mark, limit=limit)
        assert len(page.rows) + len(page.rejected) <= limit
        assert page.mark != mark or not page.more, "it goes on"
        result.columns = page.columns
        result.rows += page.rows
        result.rejected += page.rejected
        result.notes += page.notes
        result.done_bytes = page.done_bytes or 0
        mark, more = page.mark, page.more
        if anew:
            app.close()
            app = Csv({"folder": str(path.parent)})
    app.close()
    return result


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "people.csv"


TEXT = 'id,name\n1,"Zoë, the first"\n2,"two\nlines"\n3,Bob\n'
ROWS = [("1", "Zoë, the first"), ("2", "two\nlines"), ("3", "Bob")]


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-8", []),
        ("utf-8-sig", []),
        ("utf-16", ["Read as UTF-16."]),
        ("utf-16-le", ["Read as UTF-16."]),
        ("utf-16-be", ["Read as UTF-16."]),
        ("latin-1", ["Read as Latin-1."]),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_every_encoding_and_line_end_gives_the_same_rows(
    file: Path, encoding: str, note: list[str], newline: str, packed: bool, limit: int
) -> None:
    data = TEXT.replace("\n", newline).encode(encoding)
    file.write_bytes(gzip.compress(data) if packed else data)
    for anew in (False, True):
        result = read(file, limit=limit, anew=anew)
        assert result.columns == ("id", "name")
        assert [(row[0], row[1].replace(newline, "\n")) for row in result.rows] == ROWS
        assert (result.rejected, result.notes) == ([], note)
        assert result.done_bytes == file.stat().st_size


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_found(file: Path, delimiter: str) -> None:
    lines = [["id", "name", "note, or; so"], ["1", "Alice", "12,5; 13,5"], ["2", "Bob", "tab\there"]]
    with file.open("w", newline="") as opened:
        csv.writer(opened, delimiter=delimiter).writerows(lines)
    result = read(file)
    assert [result.columns, *result.rows] == [tuple(line) for line in lines]


def test_commas_inside_numbers_do_not_hide_a_semicolon(file: Path) -> None:
    file.write_text("id;price;weight\n1;12,50;1,2\n2;13,75;2,5\n")
    assert read(file).rows == [("1", "12,50", "1,2"), ("2", "13,75", "2,5")]


def test_the_line_that_names_a_delimiter_is_obeyed(file: Path) -> None:
    file.write_text("sep=;\nid;name,first\n1;a,b\n")
    result = read(file)
    assert (result.columns, result.rows) == (("id", "name,first"), [("1", "a,b")])


def test_a_file_of_one_column_is_read(file: Path) -> None:
    file.write_text("email\nalice@example.com\n\nbob@example.com")
    assert read(file).rows == [("alice@example.com",), ("bob@example.com",)]


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_ragged_rows_are_rejected_with_line_and_reason_and_the_others_read(file: Path, limit: int) -> None:
    file.write_text('id,name\n1,Alice\n2\n3,Bob,more\n\n4,"Char\nlie",x\n5,Dan\n')
    for anew in (False, True):
        result = read(file, limit=limit, anew=anew)
        assert result.rows == [("1", "Alice"), ("5", "Dan")]
        assert [(bad.number, bad.reason) for bad in result.rejected] == [
            (3, "1 value where the header has 2"),
            (4, "3 values where the header has 2"),
            (6, "3 values where the header has 2; it runs over 2 lines, perhaps a quote is not closed"),
        ]
        assert [bad.text for bad in result.rejected][:2] == ["2", "3,Bob,more"]


@pytest.mark.parametrize("limit", [1, 2, 100])
@pytest.mark.parametrize("packed", [False, True])
def test_a_quote_that_is_never_closed_costs_one_line(file: Path, limit: int, packed: bool) -> None:
    data = b'id,name\n1,Alice\n2,"Bob\n3,Charlie\n4,Dan\n'
    file.write_bytes(gzip.compress(data) if packed else data)
    result = read(file, limit=limit)
    assert result.rows == [("1", "Alice"), ("3", "Charlie"), ("4", "Dan")]
    assert result.rejected == [BadRow(3, "a quote is opened and never closed", '2,"Bob\n')]


def test_a_quote_that_is_never_closed_in_a_long_file_costs_one_line(file: Path) -> None:
    lines = [f"{number},person {number}\n" for number in range(400_000)]
    lines[10] = '10,"open\n'
    file.write_text("id,name\n" + "".join(lines))
    assert file.stat().st_size > 6_000_000
    result = read(file, limit=10_000)
    assert len(result.rows) == 399_999
    assert [(bad.number, bad.reason) for bad in result.rejected] == [(12, "a quote is opened and never closed")]


def test_a_quote_that_is_never_closed_in_the_last_line_is_found(file: Path) -> None:
    file.write_text('id,name\n1,Alice\n2,"Bob')
    result = read(file)
    assert (result.rows, [bad.number for bad in result.rejected]) == ([("1", "Alice")], [3])


def test_a_line_in_another_encoding_is_read_and_told_once(file: Path) -> None:
    first = "id,name\n" + "".join(f"{number},Zoë\n" for number in range(40_000))
    file.write_bytes(first.encode() + "40000,Zoë\n40001,Zoë\n".encode("latin-1"))
    result = read(file, limit=1000)
    assert {row[1] for row in result.rows} == {"Zoë"}
    assert result.notes == ["Line 40002 and perhaps others are not UTF-8 and were read as Latin-1."]


def test_columns_without_a_name_or_with_one_twice_get_their_own(file: Path) -> None:
    file.write_text("id, name ,,name\n1,a,b,c\n")
    result = read(file)
    assert result.columns == ("id", "name", "column 3", "name (2)")
    assert len(result.notes) == 1


def test_an_empty_file_is_told(file: Path) -> None:
    file.touch()
    result = read(file)
    assert (result.columns, result.rows, result.notes) == ((), [], ["The file is empty."])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04rest of a spreadsheet", "save it as CSV"),
        (gzip.compress(TEXT.encode(), mtime=0)[:-9], "damaged or not whole"),
        (b"\x1f\x8bnot gzip at all", "damaged or not whole"),
        (b"x" * 17_000_000, "longer than 16 MB"),
    ],
)
def test_what_is_no_csv_stops_with_a_sentence(file: Path, data: bytes, words: str) -> None:
    file.write_bytes(data)
    with pytest.raises(Halt, match=words):
        read(file)


@pytest.mark.parametrize("packed", [False, True])
def test_an_upload_that_became_shorter_stops(file: Path, packed: bool) -> None:
    pack = gzip.compress if packed else bytes
    file.write_bytes(pack(TEXT.encode()))
    source = RecordSource(path=str(file), options={"uploaded": True})
    with Csv({}) as app:
        mark = app.read_page(source, after=None, limit=3).mark
        file.write_bytes(pack(b"id,name\n"))
        with pytest.raises(Halt, match="shorter"):
            app.read_page(source, after=mark, limit=3)


def test_only_files_in_the_folder_and_uploads_are_read(file: Path, tmp_path: Path) -> None:
    file.write_text(TEXT)
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "link.csv").symlink_to(file)
    for path in ("../people.csv", str(file), "link.csv"):
        with Csv({"folder": str(inner)}) as app, pytest.raises(Halt, match="not inside"):
            app.read_page(RecordSource(path=path), after=None, limit=1)
    with Csv({}) as app:
        with pytest.raises(Halt, match="no folder"):
            app.read_page(RecordSource(path=str(file)), after=None, limit=1)
        page = app.read_page(RecordSource(path=str(file), options={"uploaded": True}), after=None, limit=9)
    assert list(page.rows) == ROWS


def test_a_changed_column_gives_its_times(file: Path) -> None:
    file.write_text("id,at\n1,2024-02-29T10:00:00+01:00\n2,soon\n")
    with Csv({"folder": str(file.parent)}) as app:
        page = app.read_page(RecordSource(path=file.name, changed_column="at"), after=None, limit=9)
        assert [str(at) for at in page.changed] == ["2024-02-29 10:00:00+01:00", "None"]
        with pytest.raises(Halt, match="no column when"):
            app.read_page(RecordSource(path=file.name, changed_column="when"), after=None, limit=9)


@pytest.mark.parametrize("packed", [False, True])
def test_memory_stays_flat_however_long_the_file(file: Path, packed: bool) -> None:
    data = b"id,email,name\n" + b"".join(b"%d,person%d@example.com,Zoe\n" % (n, n) for n in range(100_000))
    file.write_bytes(gzip.compress(data, 1) if packed else data)
    del data
    app, mark, count = Csv({"folder": str(file.parent)}), None, 0
    tracemalloc.start()
    try:
        while True:
            page = app.read_page(RecordSource(path=file.name), after=mark, limit=1000)
            count, mark = count + len(page.rows), page.mark
            if not page.more:
                break
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        app.close()
    assert count == 100_000
    assert peak < 3_000_000


cells = st.text(alphabet=st.sampled_from('ab,;\t"\n\r é日=€'), max_size=6)


@given(rows=st.lists(st.tuples(cells, cells.map(lambda text: "x" + text)), max_size=8), limit=st.integers(1, 4))
def test_whatever_was_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, rows: Any, limit: int) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([("one", "other"), *rows])
    path = tmp_path_factory.mktemp("csv") / "any.csv"
    path.write_bytes(text.getvalue().encode())
    for anew in (False, True):
        result = read(path, limit=limit, anew=anew)
        assert (result.rows, result.rejected) == (rows, [])


@given(
    data=st.binary(max_size=60) | st.text(alphabet='a,"\n\r;1', max_size=40).map(str.encode), limit=st.integers(1, 3)
)
def test_any_bytes_are_read_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, limit: int
) -> None:
    path = tmp_path_factory.mktemp("csv") / "any.csv"
    path.write_bytes(data)
    try:
        result = read(path, limit=limit)
    except Halt:
        return
    assert all(len(row) == len(result.columns) for row in result.rows)


def test_a_mark_without_a_place_starts_at_the_beginning(file: Path) -> None:
    file.write_text(TEXT)
    with Csv({"folder": str(file.parent)}) as app:
        assert list(app.read_page(RecordSource(path=file.name), after=Mark(), limit=9).rows) == ROWS
