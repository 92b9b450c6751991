"""High-water marks as text."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.sql.marks import as_time, just_before, read_mark, rewind_value, write_mark

EAST = timezone(timedelta(hours=5, minutes=30))
VALUES = st.one_of(
    st.integers(),
    st.text(),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    st.datetimes(timezones=st.just(EAST)),
    st.decimals(allow_nan=False, allow_infinity=False),
)


@given(VALUES)
def test_a_mark_is_read_as_the_value_that_was_written(value: Any) -> None:
    read = read_mark(write_mark(value))
    assert read == value
    assert isinstance(read, str) == isinstance(value, str)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_comes_back_exactly(value: float) -> None:
    assert float(read_mark(write_mark(value))) == value


@given(VALUES)
def test_nothing_rewinds_forwards(value: Any) -> None:
    earlier = rewind_value(value, 600)
    assert type(earlier) is type(value)
    assert earlier <= value


@pytest.mark.parametrize(
    ("value", "earlier"),
    [
        (datetime(2024, 3, 1, 0, 5, 0, 7), datetime(2024, 2, 29, 23, 55, 0, 7)),
        (date(2024, 3, 1), date(2024, 2, 29)),
        ("2024-03-01", "2024-02-29"),
        ("2024-03-01 00:05:00", "2024-02-29 23:55:00"),
        ("2024-03-01T00:05:00.120Z", "2024-02-29T23:55:00.120Z"),
        ("2024-03-01T00:05:00.123456+02:00", "2024-02-29T23:55:00.123456+02:00"),
        ("2024-03-01 00:05", "2024-02-29 23:55"),
        ("version 7", "version 7"),
        (1_700_000_600, 1_700_000_000),
        (1_700_000_600_000, 1_700_000_000_000),
        (42, 42),
    ],
)
def test_a_lookback_of_ten_minutes(value: Any, earlier: Any) -> None:
    assert rewind_value(value, 600) == earlier


@pytest.mark.parametrize(
    "value", [datetime(2024, 1, 1), date(2024, 1, 1), 5, Decimal("5.5"), "2024-01-01 00:00:00", "2024-01-01"]
)
def test_just_before_is_before(value: Any) -> None:
    assert just_before(value) < value


@pytest.mark.parametrize(
    ("value", "time"),
    [
        (datetime(2024, 1, 1, 12), datetime(2024, 1, 1, 12, tzinfo=UTC)),
        (date(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)),
        ("2024-01-01T12:00:00Z", datetime(2024, 1, 1, 12, tzinfo=UTC)),
        (1_704_110_400, datetime(2024, 1, 1, 12, tzinfo=UTC)),
        (1_704_110_400_000, datetime(2024, 1, 1, 12, tzinfo=UTC)),
        (17, None),
        ("soon", None),
        (None, None),
    ],
)
def test_changed_values_as_times(value: Any, time: datetime | None) -> None:
    assert as_time(value) == time
