"""How long another server asks us to wait, in every way in which servers write it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from core.lib.pauses import LONGEST_PAUSE, read_retry_after


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7.0), (" 0 ", 0.0), ("999999", LONGEST_PAUSE), ("9" * 400, LONGEST_PAUSE)]
)
def test_seconds_are_taken_up_to_a_day(text: str, seconds: float) -> None:
    assert read_retry_after(text) == seconds


def test_a_date_is_the_time_until_then_and_one_that_has_passed_is_no_time() -> None:
    later = datetime.now(UTC) + timedelta(minutes=2)
    read = read_retry_after(format_datetime(later, usegmt=True))
    assert read is not None
    assert 110 < read <= 120
    assert read_retry_after(format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)) == 0.0


@pytest.mark.parametrize("text", ["", "soon", "-3", "1.5", "²", "Wed, 99 Foo 2026 99:99:99 GMT"])
def test_what_is_no_time_says_nothing(text: str) -> None:
    assert read_retry_after(text) is None
