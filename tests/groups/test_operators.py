"""Every operator, on every type it suits, against plain Python: the same people, with and without values."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2 import sql

from groups.compile import compile_tree
from groups.operators import OPERATORS, Operator, for_property
from groups.reading import read_tree
from profiles.ruleset import Rule
from tests.groups import oracle
from tests.groups.strategies import NOW, PROPERTIES, TYPES, people, rules_with, trees, values
from tests.profiles.frozen import frozen_rule

ZONES = [ZoneInfo("UTC"), ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")]
TYPE_OF = {key: name for key, (name, _) in PROPERTIES.items()}

CASES = [
    pytest.param(operator, name, is_array, id=f"{operator.key}-{'list of ' if is_array else ''}{name}")
    for name in TYPES
    for is_array in (False, True)
    for operator in for_property(name, is_array=is_array)
]


def rule_of(key: str) -> Rule:
    """The frozen rule of one of the strategies' properties."""
    name, is_array = PROPERTIES[key]
    return frozen_rule(key, name, id=sorted(PROPERTIES).index(key) + 1, is_array=is_array)


RULES = {key: rule_of(key) for key in PROPERTIES}


def select(rules: dict[str, Any], persons: list[dict[str, Any]], zone: ZoneInfo) -> list[bool]:
    """What PostgreSQL says of each of these people."""
    compiled = compile_tree(read_tree(rules, by_key=RULES), zone)
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "select {} from jsonb_array_elements(%s::jsonb) with ordinality as p(properties, place) order by place"
            ).format(compiled.sql),
            [*compiled.bind(NOW), json.dumps(persons)],
        )
        return [row[0] for row in cursor.fetchall()]


@pytest.mark.django_db
@pytest.mark.parametrize(("operator", "type_name", "is_array"), CASES)
def test_an_operator_selects_whom_plain_python_selects(operator: Operator, type_name: str, is_array: bool) -> None:
    key = f"{'many' if is_array else 'the'}_{type_name}"

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        rule=rules_with(operator, key, type_name),
        found=st.lists(values(type_name, is_array=is_array), min_size=20, max_size=40),
        zone=st.sampled_from(ZONES),
    )
    def check(rule: dict[str, Any], found: list[Any], zone: ZoneInfo) -> None:
        persons: list[dict[str, Any]] = [{}, *({} if value is None else {key: value} for value in found)]
        expected = [oracle.leaf_matches(rule, person, type_name, now=NOW, zone=zone) for person in persons]
        assert select({"match": "all", "rules": [rule]}, persons, zone) == expected

    check()


@pytest.mark.django_db
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(rules=trees(), persons=st.lists(people(), min_size=1, max_size=15), zone=st.sampled_from(ZONES))
def test_all_and_any_of_random_rules_select_whom_plain_python_selects(
    rules: dict[str, Any], persons: list[dict[str, Any]], zone: ZoneInfo
) -> None:
    expected = [oracle.matches(rules, person, TYPE_OF, now=NOW, zone=zone) for person in persons]
    assert select(rules, persons, zone) == expected


@pytest.mark.django_db
@pytest.mark.parametrize(("operator", "type_name", "is_array"), CASES)
def test_no_operator_fails_on_a_value_of_another_type(operator: Operator, type_name: str, is_array: bool) -> None:
    key = f"{'many' if is_array else 'the'}_{type_name}"
    stored: list[Any] = ["text", 7, True, ["a"], {"a": 1}, [[1]], None]
    answers = select(
        {"match": "all", "rules": [_some_rule(operator, key, type_name)]}, [{key: each} for each in stored], ZONES[0]
    )
    assert set(answers) <= {True, False}


def _some_rule(operator: Operator, key: str, type_name: str) -> dict[str, Any]:
    values_by_type = {
        "date": "2024-03-01",
        "boolean": True,
        "email": "alice@example.com",
        "url": "https://example.com/",
    }
    one: Any = {**values_by_type, "phone_number": "+14155550132", "string": "a"}.get(type_name, 1)
    arguments = {"text": "a", "value": one, "values": [one], "range": [one, one], "span": {"amount": 1, "unit": "days"}}
    rule = {"property": key, "operator": operator.key, "value": arguments.get(operator.argument.value)}
    return {name: value for name, value in rule.items() if value is not None}


def test_every_operator_has_a_label_a_sentence_and_one_row_for_each_type() -> None:
    seen = [(operator.key, name) for operator in OPERATORS for name in operator.types]
    assert len(seen) == len(set(seen))
    assert all(operator.label and "{name}" in operator.sentence for operator in OPERATORS)
    assert all(("{value}" in operator.sentence) == (operator.argument.value != "none") for operator in OPERATORS)
