"""Boundaries that move with the clock: calendar arithmetic that never goes backward."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groups.moving_time import EARLIEST, LATEST, UNITS, end_of_day, shift, start_of_day

UTC_ZONE = ZoneInfo("UTC")
NEW_YORK = ZoneInfo("America/New_York")
ZONES = [UTC_ZONE, NEW_YORK, *map(ZoneInfo, ("Australia/Lord_Howe", "Pacific/Apia", "Europe/London", "Asia/Kolkata"))]


def utc(text: str) -> datetime:
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "amount", "unit", "expected"),
    [
        ("2024-03-28T23:59:59", -1, "months", "2024-02-28T23:59:59"),
        ("2024-03-29T10:00", -1, "months", "2024-02-29T10:00"),
        ("2024-03-30T10:00", -1, "months", "2024-03-01T00:00"),  # 30 February: the end of that month
        ("2024-03-31T23:59", -1, "months", "2024-03-01T00:00"),
        ("2024-04-01T00:00", -1, "months", "2024-03-01T00:00"),
        ("2024-02-29T08:00", -1, "years", "2023-03-01T00:00"),
        ("2024-05-31T08:00", -1, "quarters", "2024-03-01T00:00"),
        ("2024-12-31T08:00", 2, "months", "2025-03-01T00:00"),
        ("2024-01-15T08:00", -2, "weeks", "2024-01-01T08:00"),
        ("2024-01-01T08:00", -9, "hours", "2023-12-31T23:00"),
    ],
)
def test_months_and_years_end_where_the_target_month_ends(now: str, amount: int, unit: str, expected: str) -> None:
    assert shift(utc(now), amount, unit, zone=UTC_ZONE) == utc(expected)


@pytest.mark.parametrize(
    ("now", "expected", "why"),
    [
        ("2024-03-11T05:30", "2024-03-10T06:30", "01:30, before clocks went forward, was an hour further from UTC"),
        ("2024-03-11T06:30", "2024-03-10T07:00", "02:30 did not exist: the moment of the change"),
        ("2024-03-11T07:00", "2024-03-10T07:00", "03:00"),
        ("2024-11-04T06:30", "2024-11-03T05:30", "01:30 came twice: the first of them"),
        ("2024-11-03T05:59", "2024-11-02T05:59", "01:59 for the first time"),
        ("2024-11-03T06:30", "2024-11-02T06:00", "01:30 for the second time: it waits at 02:00"),
        ("2024-11-03T07:00", "2024-11-02T06:00", "02:00"),
    ],
)
def test_a_day_ago_is_the_same_time_on_the_clock_when_clocks_change(now: str, expected: str, why: str) -> None:
    assert shift(utc(now), -1, "days", zone=NEW_YORK) == utc(expected), why


@settings(max_examples=400)
@given(
    now=st.datetimes(datetime(2010, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)),
    later=st.sampled_from([timedelta(microseconds=1), timedelta(minutes=1), timedelta(minutes=31), timedelta(days=1)]),
    amount=st.integers(-400, 400),
    unit=st.sampled_from(UNITS),
    zone=st.sampled_from(ZONES),
)
def test_a_boundary_never_moves_backward(
    now: datetime, later: timedelta, amount: int, unit: str, zone: ZoneInfo
) -> None:
    assert shift(now, amount, unit, zone=zone) <= shift(now + later, amount, unit, zone=zone)


@pytest.mark.parametrize("zone", ZONES, ids=str)
@pytest.mark.parametrize("unit", UNITS)
def test_through_whole_years_of_half_hours_a_boundary_never_moves_backward(unit: str, zone: ZoneInfo) -> None:
    for year in (2011, 2024):  # 2011: Apia left out a day
        now = datetime(year, 1, 1, tzinfo=UTC)
        places = [shift(now + timedelta(minutes=30 * step), -1, unit, zone=zone) for step in range(0, 366 * 48, 1)]
        assert places == sorted(places)


def test_what_is_beyond_the_calendar_stays_at_its_ends() -> None:
    assert shift(utc("2024-01-01T00:00"), -100_000, "years", zone=NEW_YORK) == EARLIEST
    assert shift(utc("2024-01-01T00:00"), 100_000, "years", zone=NEW_YORK) == LATEST
    assert shift(utc("2024-01-01T00:00"), 100_000, "hours", zone=NEW_YORK) == utc("2035-05-29T16:00")


def test_a_day_lasts_from_its_first_moment_to_the_next_days() -> None:
    assert start_of_day(date(2024, 3, 10), NEW_YORK) == utc("2024-03-10T05:00")
    assert end_of_day(date(2024, 3, 10), NEW_YORK) == utc("2024-03-11T04:00")
    assert start_of_day(date(1, 1, 1), NEW_YORK) == EARLIEST
    assert end_of_day(date(9999, 12, 31), NEW_YORK) == LATEST
