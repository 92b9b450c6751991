"""The part of the contract that an App type which imports records keeps."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import pytest

from plugins.base import ImportsRecords
from plugins.contracts import Halt, Mark, RecordSource, Reject, Retry
from plugins.testing.hooks import START, Hooks, SourceNames, SourceRow, needs, people


def read_all(
    app: Any, source: RecordSource, names: SourceNames, *, limit: int, after: Mark | None = None
) -> tuple[list[tuple[str, str]], Mark]:
    """All (id, name) behind `after` as text, page by page, and the last mark."""
    seen: list[tuple[str, str]] = []
    while True:
        page = app.read_page(source, after=after, limit=limit)
        assert len(page.rows) <= limit
        assert all(len(row) == len(page.columns) for row in page.rows)
        if source.changed_column:
            assert len(page.changed) == len(page.rows)
        assert not page.rejected
        seen += of_rows(page.columns, page.rows, names)
        assert page.rows or not page.more, "an empty page with more behind it"
        after = page.mark
        if not page.more:
            return seen, after


def of_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]], names: SourceNames) -> list[tuple[str, str]]:
    """The (id, name) of rows as text; null and empty are the same, since files cannot tell them apart."""
    id_, name = columns.index(names.id), columns.index(names.name)
    return [(str(row[id_]), "" if row[name] is None else str(row[name])) for row in rows]


def expected(rows: Sequence[SourceRow]) -> list[tuple[str, str]]:
    return [(str(row.id), row.name or "") for row in rows]


class ImportingTests(Hooks):
    """Paging, ties, marks and odd values."""

    @needs(ImportsRecords)
    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
    def test_every_row_is_read_once_and_in_order_whatever_the_page_size(self, limit: int) -> None:
        rows = people(14)
        source = self.fill_source(rows)
        with self.connect() as app:
            seen, _ = read_all(app, source, self.source_names, limit=limit)
        assert seen == expected(rows)

    @needs(ImportsRecords)
    @pytest.mark.parametrize("limit", [1, 2, 3, 5])
    def test_ties_on_the_changed_value_neither_loop_nor_get_lost(self, limit: int) -> None:
        rows = people(13, same_time=5)
        source = self.fill_source(rows)
        with self.connect() as app:
            seen, _ = read_all(app, source, self.source_names, limit=limit)
        assert seen == expected(rows)

    @needs(ImportsRecords)
    def test_reading_goes_on_from_a_stored_mark_on_a_new_connection(self) -> None:
        rows = people(9, same_time=3)
        source = self.fill_source(rows)
        seen: list[tuple[str, str]] = []
        mark: Mark | None = None
        for _ in range(5):
            with self.connect() as app:
                page = app.read_page(source, after=mark, limit=2)
            seen += of_rows(page.columns, page.rows, self.source_names)
            mark = Mark(**json.loads(json.dumps(asdict(page.mark))))
        assert seen == expected(rows)
        assert not page.more

    @needs(ImportsRecords)
    def test_behind_the_last_row_is_nothing_until_a_row_comes(self) -> None:
        rows = people(4)
        source = self.fill_source(rows[:3])
        with self.connect() as app:
            _, mark = read_all(app, source, self.source_names, limit=10)
            assert read_all(app, source, self.source_names, limit=10, after=mark) == ([], mark)
        source = self.fill_source(rows)
        with self.connect() as app:
            behind = read_all(app, source, self.source_names, limit=10, after=mark)[0]
        assert behind == expected(rows[3:]) or (source.path and behind == expected(rows))  # a changed file is a new one

    @needs(ImportsRecords)
    def test_an_empty_source_is_an_empty_page_from_which_reading_can_go_on(self) -> None:
        source = self.fill_source([])
        with self.connect() as app:
            page = app.read_page(source, after=None, limit=10)
        assert (list(page.rows), page.more) == ([], False)
        rows = people(2)
        source = self.fill_source(rows)
        with self.connect() as app:
            assert read_all(app, source, self.source_names, limit=10, after=page.mark)[0] == expected(rows)

    @needs(ImportsRecords)
    def test_strange_and_huge_values_come_as_they_are(self) -> None:
        rows = [SourceRow(place, START, name) for place, name in enumerate(self.strange_names(), start=1)]
        source = self.fill_source(rows)
        with self.connect() as app:
            seen, _ = read_all(app, source, self.source_names, limit=4)
        assert seen == expected(rows)

    @needs(ImportsRecords)
    def test_a_count_is_right_or_none(self) -> None:
        source = self.fill_source(people(11, same_time=4))
        with self.connect() as app:
            mark = app.read_page(source, after=None, limit=3).mark
            counts = app.count(source, after=None), app.count(source, after=mark)
            done = app.read_page(source, after=None, limit=100).done_bytes
        if source.path:
            assert counts in ((None, None), (done, done))  # of files the bytes, as pages count them
        else:
            assert counts in ((None, None), (11, 8))

    @needs(ImportsRecords)
    def test_a_rewound_mark_reads_the_last_rows_again(self) -> None:
        rows = [SourceRow(place, START + timedelta(minutes=5 * place), "x") for place in range(1, 7)]
        source = self.fill_source(rows)
        with self.connect() as app:
            _, mark = read_all(app, source, self.source_names, limit=10)
            seen, _ = read_all(app, source, self.source_names, limit=10, after=app.rewind(mark, lookback=600))
        assert seen == (expected(rows[3:]) if source.changed_column else [])

    @needs(ImportsRecords)
    def test_a_missing_source_stops_with_a_sentence(self) -> None:
        with self.connect() as app, pytest.raises((Halt, Reject)) as caught:
            app.read_page(self.missing_source(), after=None, limit=10)
        assert len(caught.value.reason) > 10

    @needs(ImportsRecords, hook="cut_connection")
    def test_a_cut_connection_is_an_error_to_try_again_and_trying_again_works(self) -> None:
        rows = people(6)
        source = self.fill_source(rows)
        with self.connect() as app:
            page = app.read_page(source, after=None, limit=2)
            seen = of_rows(page.columns, page.rows, self.source_names)
            self.cut_connection(app)
            try:
                rest, _ = read_all(app, source, self.source_names, limit=1, after=page.mark)
            except Retry:
                app.close()
                rest, _ = read_all(self.connect(), source, self.source_names, limit=1, after=page.mark)
        assert seen + rest == expected(rows)
