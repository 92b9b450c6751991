"""The part of the contract that every App type keeps: options, secrets, connections, samples."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from plugins import registry
from plugins.base import App, GivesSamples, ImportsRecords, TestsConnection
from plugins.contracts import PluginError
from plugins.testing.hooks import Hooks, needs, people

VALUE_TYPES = {"string", "integer", "float", "boolean", "date", "email", "phone_number", "url"}
PATIENCE = 40  # seconds: a person waits for the answer


class GeneralTests(Hooks):
    """Everyone's tests."""

    def test_the_app_type_says_everything_the_marketplace_shows(self) -> None:
        registry.check(self.app_type)

    def test_the_working_options_hold_every_required_option_and_no_unknown_one(self) -> None:
        options = self.working_options()
        known = {option.key for option in self.app_type.spec.options}
        required = {option.key for option in self.app_type.spec.options if option.required}
        assert required <= set(options) <= known

    def test_secrets_are_in_no_representation(self) -> None:
        for options in (self.working_options(), *self.broken_options().values()):
            app = self.app_type(options)
            assert not [secret for secret in self.secrets(options) if secret in f"{app!r} {app}"]

    def test_closing_twice_is_safe_and_an_error_goes_through(self) -> None:
        app = self.connect()
        with pytest.raises(LookupError, match="mine"), app:
            self._use_and_fail(app)
        app.close()
        app.close()

    def _use_and_fail(self, app: App) -> None:
        self.use(app)
        raise LookupError("mine")

    def test_making_an_app_connects_to_nothing(self) -> None:
        for options in self.broken_options().values():
            self.app_type(options).close()

    # ------------------------------------------------------------ TestsConnection

    @needs(TestsConnection)
    def test_a_working_connection_is_told_in_a_sentence(self) -> None:
        with self.connect() as app:
            result = app.test()
        assert result.ok, result.message
        assert result.message.endswith(".")

    @needs(TestsConnection)
    def test_a_broken_connection_is_a_result_that_says_what_to_mend(self) -> None:
        assert self.broken_options()
        for wrong, options in self.broken_options().items():
            started = time.monotonic()
            with self.app_type(options) as app:
                assert isinstance(app, TestsConnection)
                result = app.test()
            assert not result.ok, wrong
            assert 15 <= len(result.message) <= 500, wrong
            assert time.monotonic() - started < PATIENCE, wrong

    @needs(TestsConnection)
    def test_secrets_are_in_no_message_and_no_log(
        self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        caplog.set_level("DEBUG")
        for options in (self.working_options(), *self.broken_options().values()):
            said = list(self._what_is_said(options))
            said += [caplog.text, *capfd.readouterr()]
            for secret in self.secrets(options):
                assert not [text for text in said if secret in text]

    def _what_is_said(self, options: Mapping[str, Any]) -> Iterator[str]:
        with self.app_type(options) as app:
            if isinstance(app, TestsConnection):
                yield app.test().message
            try:
                self.use(app)
            except PluginError as error:
                yield f"{error!r} {error} {error.__cause__!r} {error.__context__!r}"

    @needs(GivesSamples)
    def test_a_broken_connection_raises_only_errors_of_the_contract(self) -> None:
        for wrong, options in self.broken_options().items():
            app: Any = self.app_type(options)
            with app, pytest.raises(PluginError) as caught:
                app.tables()
            assert caught.value.reason, wrong

    # ------------------------------------------------------------ GivesSamples

    @needs(GivesSamples, ImportsRecords)
    def test_tables_are_in_the_order_of_their_names_with_columns_of_known_types(self) -> None:
        source = self.fill_source(people(3))
        with self.connect() as app:
            tables = app.tables()
        names = [table.name for table in tables]
        assert names == sorted(names)
        assert (source.table or source.path) in names or source.query
        for table in tables:
            assert {column.type for column in table.columns} <= VALUE_TYPES
        found = next(table for table in tables if table.name in (source.table, source.path))
        assert {self.source_names.id, self.source_names.name} <= {column.name for column in found.columns}

    @needs(GivesSamples, ImportsRecords)
    def test_a_sample_is_no_longer_than_asked_and_aligned_with_its_columns(self) -> None:
        source = self.fill_source(people(5))
        with self.connect() as app:
            sample = app.sample(source.table or source.path, limit=2)
        assert len(sample.rows) == 2
        assert all(len(row) == len(sample.columns) for row in sample.rows)
        assert [str(row[sample.columns.index(self.source_names.id)]) for row in sample.rows] == ["1", "2"]

    @needs(GivesSamples, ImportsRecords)
    def test_a_sample_of_a_missing_table_says_so(self) -> None:
        source = self.missing_source()
        with self.connect() as app, pytest.raises(PluginError) as caught:
            app.sample(source.table or source.path)
        assert len(caught.value.reason) > 10
