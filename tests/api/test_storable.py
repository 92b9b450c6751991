"""What a door lets through, PostgreSQL stores: no text, number or depth that is let in fails later."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from django.db import connection
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.lib.storable import DEEPEST, find_problem
from core.rest.parsing import read_json

TEXTS = st.text(st.characters(codec=None), max_size=8)  # lone surrogates and U+0000 among them
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | TEXTS
    | st.sampled_from(["\0", "\ud800", 2**63, -(2**63), 1e308])
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))


def nest(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.django_db
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(VALUES)
@example({"a\0": 1})
@example(["\ud800"])
@example(nest(DEEPEST))
@example(nest(DEEPEST + 1))
@example(nest(400))
def test_what_has_no_problem_is_stored_as_it_came(value: Any) -> None:
    read = read_json(json.dumps(value).encode())
    if find_problem(read) is not None:
        return
    with connection.cursor() as cursor:
        cursor.execute("select %s::jsonb", [orjson.dumps(read).decode()])
        stored = cursor.fetchone()[0]
    # Whole floats come back as digits without a point: the same number, as floats.
    assert json.loads(stored, parse_int=float) == json.loads(json.dumps(value), parse_int=float)


@pytest.mark.parametrize(("levels", "is_fine"), [(DEEPEST, True), (DEEPEST + 1, False), (100_000, False)])
def test_depth_is_counted_exactly_and_never_crashes(levels: int, is_fine: bool) -> None:
    read = read_json(("[" * levels + "1" + "]" * levels).encode())
    assert (find_problem(read) is None) == is_fine


@pytest.mark.parametrize("value", ["a\0b", "\ud83d", {"\0": 1}, 2**63, -(2**63) - 1, float("nan"), float("-inf")])
def test_what_cannot_be_stored_has_a_problem_however_deep_it_lies(value: Any) -> None:
    assert find_problem(value)
    assert find_problem({"list": [[{"inside": value}]]})
