"""When schedules are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from core.lib.errors import InvalidInput
from schedules.timing import check_rhythm, next_time

NEW_YORK = ZoneInfo("America/New_York")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def by_cron(cron: str, now: datetime) -> str:
    found = next_time(every_minutes=None, cron=cron, zone=NEW_YORK, now=now)
    assert found is not None
    return found.astimezone(UTC).strftime("%m-%d %H:%M")


def test_every_ten_minutes_keeps_its_beat_when_a_start_was_late() -> None:
    due = next_time(every_minutes=10, cron="", zone=NEW_YORK, now=NOON + timedelta(minutes=3), previous=NOON)
    assert due == NOON + timedelta(minutes=10)


def test_times_that_were_missed_give_one_run_and_the_next_lies_ahead() -> None:
    now = NOON + timedelta(days=2, minutes=4)
    due = next_time(every_minutes=10, cron="", zone=NEW_YORK, now=now, previous=NOON)
    assert due == NOON + timedelta(days=2, minutes=10)


def test_a_schedule_by_hand_is_never_due() -> None:
    assert next_time(every_minutes=None, cron="", zone=NEW_YORK, now=NOON) is None


def test_cron_means_the_time_on_the_projects_clock_in_winter_and_summer() -> None:
    assert by_cron("30 6 * * *", datetime(2025, 1, 10, tzinfo=UTC)) == "01-10 11:30"
    assert by_cron("30 6 * * *", datetime(2025, 7, 10, tzinfo=UTC)) == "07-10 10:30"


def test_a_time_that_the_clock_skips_comes_at_the_end_of_the_gap() -> None:
    assert by_cron("30 2 * * *", datetime(2025, 3, 9, 5, tzinfo=UTC)) == "03-09 07:00"
    assert by_cron("30 2 * * *", datetime(2025, 3, 9, 7, tzinfo=UTC)) == "03-10 06:30"


def test_a_daily_run_comes_once_in_the_night_that_has_an_hour_twice() -> None:
    first = datetime(2025, 11, 2, 5, 30, tzinfo=UTC)
    assert by_cron("30 1 * * *", first - timedelta(hours=3)) == "11-02 05:30"
    assert by_cron("30 1 * * *", first) == "11-03 06:30"


def test_a_run_every_half_hour_goes_on_through_the_hour_that_comes_twice() -> None:
    at, seen = datetime(2025, 11, 2, 5, tzinfo=UTC), []
    for _ in range(4):
        found = next_time(every_minutes=None, cron="*/30 * * * *", zone=NEW_YORK, now=at)
        assert found is not None
        at = found.astimezone(UTC)
        seen.append(at.strftime("%H:%M"))
    assert seen == ["05:30", "06:00", "06:30", "07:00"]


@pytest.mark.parametrize(
    ("every_minutes", "cron", "words"),
    [
        (0, "", "Every 0 minutes is not possible"),
        (-5, "", "give 1 or more"),
        (True, "", "whole number"),
        (10, "* * * * *", "not both"),
        (None, "every day", "not a cron line"),
        (None, "61 * * * *", "not a cron line"),
        (None, "* * * * * *", "not a cron line"),
        (None, "0 0 30 2 *", "never comes due"),
    ],
)
def test_a_rhythm_that_cannot_be_kept_is_refused_in_a_sentence(
    every_minutes: int | None, cron: str, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        check_rhythm(every_minutes=every_minutes, cron=cron, now=NOON)


@pytest.mark.parametrize("cron", ["*/5 * * * *", "30 6 * * 1-5", "0 0 29 2 *", "@daily", "0 9 * * mon"])
def test_usual_cron_lines_are_taken(cron: str) -> None:
    check_rhythm(every_minutes=None, cron=cron, now=NOON)
