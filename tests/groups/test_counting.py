from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.lib.errors import InvalidInput, Refused
from groups import counting
from groups.counting import count
from tests.factories import make_profiles, make_rule

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> None:
    make_rule("name")
    make_rule("number", "float")
    make_profiles([{"name": "Alice", "number": 3}, {"name": "Bob", "number": 0}, {"name": "Charlie"}, {"number": 7}])


def ask(key: str, operator: str, value: Any = None, **more: Any) -> dict[str, Any]:
    given = {"property": key, "operator": operator, **more}
    return given if value is None else {**given, "value": value}


def test_a_draft_is_counted_whole_by_rule_and_as_a_funnel(people: None) -> None:
    found = count({"match": "all", "rules": [ask("number", "greater_than", 0), ask("name", "exists")]})
    assert (found.everyone, found.matching) == (4, 1)
    assert [(leaf.alone, leaf.without_value) for leaf in found.leaves] == [(2, None), (3, None)]
    assert [step.people for step in found.funnel] == [2, 1]
    assert found.sentence.startswith("People whose ")
    assert len(found.sample) == 1


def test_the_funnel_of_any_of_the_rules_widens(people: None) -> None:
    found = count({"match": "any", "rules": [ask("number", "equals", 0), ask("number", "equals", 7)]})
    assert (found.matching, [step.people for step in found.funnel]) == (2, [1, 2])


def test_a_negative_rule_says_that_it_takes_those_without_a_value(people: None) -> None:
    found = count({"match": "all", "rules": [ask("name", "does_not_equal", "Alice")]})
    assert (found.matching, found.leaves[0].without_value, found.leaves[0].takes_without_value) == (3, 1, True)
    left_out = count({"match": "all", "rules": [ask("name", "does_not_equal", "Alice", include_null=False)]})
    assert (left_out.matching, left_out.leaves[0].takes_without_value) == (2, False)


def test_a_hundred_rules_are_counted_in_one_statement_over_everyone(people: None) -> None:
    rules = [ask("number", "equals", number % 8) for number in range(100)]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = count({"match": "any", "rules": rules}, sample=0)
    everyone = [query for query in queries if "from profile p where p.merged_into" in query["sql"]]
    assert len(everyone) == 1
    assert found.matching == 3
    assert [leaf.alone for leaf in found.leaves[96:]] == [1, 0, 0, 1]


def test_what_could_not_be_saved_cannot_be_counted(people: None) -> None:
    with pytest.raises(InvalidInput, match="There is no property nickname"):
        count({"match": "all", "rules": [ask("nickname", "exists")]})


def test_counting_that_takes_long_is_given_up_with_what_to_do(people: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_tally", lambda cursor, *_, **__: cursor.execute("select pg_sleep(5)"))
    with pytest.raises(Refused, match=r"longer than 0\.05 seconds .* saved all the same"):
        count({"match": "all", "rules": [ask("name", "exists")]}, limit_ms=50)
