"""The part of the contract that an App type which retrieves properties keeps."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from plugins.base import RetrievesProperties
from plugins.contracts import Answer, ColumnAsk, Filter, QueryAsk, Reject, Retrieval
from plugins.testing.hooks import START, STRANGE_NAMES, Hooks, SourceRow, needs, people


def by_rule(retrieval: Retrieval, count: int) -> dict[str, Answer]:
    """The answers by rule; each without an error has one value per profile."""
    assert all(len(answer.values) == count or answer.error for answer in retrieval.answers)
    return {answer.rule: answer for answer in retrieval.answers}


class RetrievingTests(Hooks):
    """Values of many rules for a batch of profiles."""

    def name_ask(self, table: str, **changes: Any) -> ColumnAsk:
        """A rule for the name of the row that belongs to a profile."""
        names = self.source_names
        asked = {"column": names.name, "key_column": names.key_column, "key": names.key, "key_type": names.key_type}
        return ColumnAsk(**{"rule": "name", **asked, "table": table, **changes})

    def profiles(self, *ids: int | None) -> list[dict[str, Any]]:
        """Profiles that have the rows of these ids; None has none."""
        return [{} if id_ is None else {self.source_names.key: self.key_of(id_)} for id_ in ids]

    def _fill(self, rows: Sequence[SourceRow]) -> str:
        source = self.fill_source(rows)
        assert source.table, "an App type that retrieves has tables"
        return source.table

    @needs(RetrievesProperties)
    def test_values_stand_at_the_place_of_their_profile(self) -> None:
        table = self._fill(people(5))
        with self.connect() as app:
            retrieval = app.retrieve([self.name_ask(table)], self.profiles(4, None, 99, 1, 4))
        assert by_rule(retrieval, 5)["name"].values == ["Person 4", None, None, "Person 1", "Person 4"]

    @needs(RetrievesProperties)
    def test_no_profiles_and_no_rules_are_no_trouble(self) -> None:
        table = self._fill(people(1))
        with self.connect() as app:
            assert [list(answer.values) for answer in app.retrieve([self.name_ask(table)], []).answers] == [[]]
            assert list(app.retrieve([], self.profiles(1)).answers) == []

    @needs(RetrievesProperties)
    def test_strange_and_huge_values_are_retrieved_as_they_are(self) -> None:
        names = self.strange_names()
        table = self._fill([SourceRow(place, START, name) for place, name in enumerate(names)])
        with self.connect() as app:
            retrieval = app.retrieve([self.name_ask(table)], self.profiles(*range(len(names))))
        assert by_rule(retrieval, len(names))["name"].values == names

    @needs(RetrievesProperties, flag="calculates")
    def test_strange_keys_are_only_values(self) -> None:
        names = [name for name in STRANGE_NAMES if name and len(name) < 1000]
        table = self._fill([SourceRow(place, START, name) for place, name in enumerate(names)])
        ask = self.name_ask(table, column="id", key_column="name", key="name", key_type="string")
        with self.connect() as app:
            retrieval = app.retrieve([ask], [{"name": name} for name in [*names, "' or 1=1 --"]])
            assert by_rule(retrieval, len(names) + 1)["name"].values == [*range(len(names)), None]
            assert by_rule(app.retrieve([self.name_ask(table)], self.profiles(0)), 1)["name"].values == [names[0]]
        assert not [statement for statement in retrieval.statements if "or 1=1" in statement.text]

    @needs(RetrievesProperties, flag="calculates")
    def test_aggregations_count_and_sum_to_zero_where_there_are_no_rows(self) -> None:
        table = self._fill(people(6, same_time=3))
        asked = {"column": "id", "key_column": "name", "key": "name", "key_type": "string"}
        kinds = ["count", "sum", "average", "min", "max"]
        asks = [self.name_ask(table, rule=kind, aggregation=kind, **asked) for kind in kinds]
        with self.connect() as app:
            answers = by_rule(app.retrieve(asks, [{"name": "Person 3"}, {"name": "nobody"}, {}]), 3)
        found = {kind: [None if value is None else float(value) for value in answers[kind].values] for kind in kinds}
        assert found == {
            "count": [1, 0, None],
            "sum": [3, 0, None],
            "average": [3, None, None],
            "min": [3, None, None],
            "max": [3, None, None],
        }

    @needs(RetrievesProperties, flag="calculates")
    def test_more_than_one_row_gives_the_first_and_is_told(self) -> None:
        table = self._fill([SourceRow(place, START, "twin" if place < 3 else "single") for place in range(1, 4)])
        ask = self.name_ask(table, column="id", key_column="name", key="name", key_type="string")
        latest = self.name_ask(
            table, **{**_fields(ask), "rule": "latest", "aggregation": "most_recent", "sort_column": "id"}
        )
        with self.connect() as app:
            answers = by_rule(app.retrieve([ask, latest], [{"name": "twin"}, {"name": "single"}]), 2)
        assert answers["name"].values[0] in (1, 2)
        assert (answers["name"].values[1], list(answers["name"].several)) == (3, [0])
        assert (list(answers["latest"].values), list(answers["latest"].several)) == ([2, 3], [])

    @needs(RetrievesProperties, flag="calculates")
    @pytest.mark.parametrize(
        ("operator", "value", "passes"),
        [
            ("eq", "Person 2", {2}),
            ("ne", "Person 2", {1, 3}),
            ("contains", "SON 3", {3}),
            ("not_contains", "son 3", {1, 2}),
            ("exists", None, {1, 2, 3}),
            ("not_exists", None, {4}),
            ("in", ["Person 1", "Person 3"], {1, 3}),
        ],
    )
    def test_filters_choose_rows(self, operator: str, value: Any, passes: set[int]) -> None:
        table = self._fill([*people(3), SourceRow(4, START, None)])
        ask = self.name_ask(table, column="id", filters=(Filter("name", operator, value),))
        with self.connect() as app:
            values = by_rule(app.retrieve([ask], self.profiles(1, 2, 3, 4)), 4)["name"].values
        found = {value for value in values if value is not None}
        assert found - {4} == passes - {4}  # whether a negative filter takes an empty value is the tool's own matter
        assert operator not in ("eq", "in", "contains", "exists", "not_exists") or found == passes

    @needs(RetrievesProperties)
    def test_a_rule_that_fails_has_its_error_and_the_others_their_values(self) -> None:
        table = self._fill(people(2))
        broken = self.name_ask(table, rule="broken", column="no_such_column")
        gone = self.name_ask("no_such_table", rule="gone")
        with self.connect() as app:
            answers = by_rule(app.retrieve([broken, self.name_ask(table), gone], self.profiles(1, 2)), 2)
        assert answers["name"].values == ["Person 1", "Person 2"]
        assert (answers["broken"].gone, answers["gone"].gone) == (True, True)
        assert len(answers["broken"].error) > 10
        assert len(answers["gone"].error) > 10

    @needs(RetrievesProperties, hook="name_query")
    def test_a_query_gets_its_variables_bound(self) -> None:
        table = self._fill([SourceRow(place, START, name) for place, name in enumerate(STRANGE_NAMES)])
        query = self.name_query(table)
        asks = [QueryAsk("plain", query, {"user_id": "integer"}), self.name_ask(table)]
        with self.connect() as app:
            answers = by_rule(app.retrieve(asks, self.profiles(4, None, 99, 0)), 4)
        assert answers["plain"].values == answers["name"].values
        assert answers["plain"].values == [STRANGE_NAMES[4], None, None, STRANGE_NAMES[0]]

    @needs(RetrievesProperties, hook="name_query")
    def test_a_query_for_an_array_gives_all_rows_in_order(self) -> None:
        table = self._fill(people(3))
        query = self.name_query(table).replace("{{profile.user_id}}", "id")
        ask = QueryAsk("names", query, {}, is_array=True)
        first = QueryAsk("first", query, {})
        with self.connect() as app:
            answers = by_rule(app.retrieve([ask, first], self.profiles(1, 2)), 2)
        assert list(answers["names"].values) == [["Person 1", "Person 2", "Person 3"]] * 2
        assert (list(answers["first"].values), list(answers["first"].several)) == (["Person 1"] * 2, [0, 1])

    @needs(RetrievesProperties, hook="name_query")
    def test_only_one_select_is_a_query(self) -> None:
        table = self._fill(people(2))
        good = self.name_query(table)
        with self.connect() as app:
            app.check_query(good, {"user_id": "integer"})
            for bad in (
                f"delete from {table}",
                f"{good}; drop table {table}",
                "select",
                f"select no_such from {table}",
            ):
                with pytest.raises(Reject) as caught:
                    app.check_query(bad, {})
                assert len(caught.value.reason) > 10, bad
            answers = by_rule(
                app.retrieve([QueryAsk("bad", f"delete from {table}", {}), self.name_ask(table)], self.profiles(1)), 1
            )
        assert answers["bad"].error
        assert answers["name"].values == ["Person 1"]


def _fields(ask: ColumnAsk) -> dict[str, Any]:
    return {name: getattr(ask, name) for name in ("column", "key_column", "key", "key_type")}
