"""Times as numbers: microseconds since the epoch, the form in which as-of times are stored and compared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_us(at: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (at - _EPOCH) // _MICROSECOND


def from_us(value: int) -> datetime:
    """The aware datetime of a number of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=value)
