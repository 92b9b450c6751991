"""A column of values is typed as its values would be one by one: the same values, the same misfits."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.rejected import Rejected
from profiles.ruleset import Rule, parser_of
from profiles.type_columns import compare_column, type_column
from profiles.types import TYPES, compare_key
from tests.profiles.frozen import frozen_rule

_TEXTS = st.text(max_size=12) | st.sampled_from(["", "  ", " a ", "a\0b", "\ud800", "Zoë", "1", "yes", "2019-01-05"])
_NUMBERS = st.integers() | st.floats() | st.sampled_from([0, -0.0, 2**63, -(2**63), Decimal("1.5")])
_TIMES = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=14))])) | st.datetimes()
_ADDRESSES = st.from_regex(
    r" ?[a-zA-Z0-9.+_]{1,5}@[a-z-]{1,5}\.(com|Museum|test|c) ?", fullmatch=True
) | st.sampled_from(
    [
        "a@b.co",
        " A@B.CO ",
        f"{'a' * 64}@b.co",
        f"{'a' * 65}@b.co",
        f"a@{'b' * 63}.co",
        f"a@{'b' * 64}.co",
        "ä@b.co",
        "a@b.co\n",
    ]
)
_KINDS = (_TEXTS, _ADDRESSES, st.integers(), st.floats(), st.booleans(), _TIMES)
_ALIKE = st.one_of(*(st.lists(kind, min_size=1, max_size=6) for kind in _KINDS))
_MIXED = st.lists(st.none() | _TEXTS | _NUMBERS | st.booleans() | _TIMES, min_size=1, max_size=6)


def rule_of(type_name: str, *, is_array: bool = False) -> Rule:
    return frozen_rule("any", type_name, is_array=is_array, parse=parser_of(type_name, is_array=is_array, region="US"))


@pytest.mark.parametrize("is_array", [False, True])
@pytest.mark.parametrize("type_name", sorted(TYPES))
@given(raws=_ALIKE | _MIXED)
def test_a_column_gives_what_its_values_give_one_by_one(type_name: str, is_array: bool, raws: list[Any]) -> None:
    rule = rule_of(type_name, is_array=is_array)
    typed, misfits = type_column(rule, raws)
    expected: list[Any] = []
    rejected: list[int] = []
    for place, raw in enumerate(raws):
        try:
            expected.append(rule.parse(raw))
        except Rejected:
            expected.append(None)
            rejected.append(place)
    assert [repr(value) for value in typed] == [repr(value) for value in expected]  # 1, 1.0 and True differ
    assert list(misfits) == rejected


@pytest.mark.parametrize("type_name", sorted(TYPES))
@given(raws=_ALIKE | _MIXED | st.just(["a" * 501]))
def test_the_texts_by_which_a_column_is_found_are_those_of_its_values(type_name: str, raws: list[Any]) -> None:
    typed, _ = type_column(rule_of(type_name), raws)
    expected = [None if value is None else compare_key(type_name, value) for value in typed]
    assert list(compare_column(type_name, typed)) == expected
