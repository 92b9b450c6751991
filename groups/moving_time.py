"""Boundaries in time that move with the clock: "7 days ago", "2 months ago", "in 3 hours", in the project's time zone.

Days and longer units are calendar arithmetic on the wall clock: the same time of day, so many days or months away.
A boundary never moves backward while time goes on, also not at month ends and when clocks change; without that, people
would leave and join again. So where the target day does not exist (31 March, one month ago), the boundary is the end of
that month; where the target time does not exist (clocks went forward), it is the moment of the change; and while the
clock repeats an hour, the boundary waits for it.

Pure arithmetic, used by `groups/compile.py` and `groups/boundaries.py`.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.utils.translation import gettext_noop

_HOURS = {gettext_noop("hours"): 1}
_DAYS = {gettext_noop("days"): 1, gettext_noop("weeks"): 7}
_MONTHS = {gettext_noop("months"): 1, gettext_noop("quarters"): 3, gettext_noop("years"): 12}
UNITS: tuple[str, ...] = (*_HOURS, *_DAYS, *_MONTHS)

EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
_FIRST_DAY, _LAST_DAY = date(1, 1, 3), date(9999, 12, 29)  # a little inside, so that no offset leads out of the range


class Span(NamedTuple):
    """A length of time, such as 7 days; the amount is positive."""

    amount: int
    unit: str


@dataclass(frozen=True, slots=True)
class Boundary:
    """A point that moves with now: `direction` -1 is a span ago, +1 a span ahead, 0 now itself."""

    direction: int
    span: Span

    def at(self, now: datetime, zone: ZoneInfo) -> datetime:
        """Where the boundary stands at `now`, in UTC. Never decreases as `now` grows."""
        if not self.direction:
            return now.astimezone(UTC)
        return shift(now, self.direction * self.span.amount, self.span.unit, zone=zone)


def shift(now: datetime, amount: int, unit: str, *, zone: ZoneInfo) -> datetime:
    """`now` moved by `amount` (negative: back) units, in UTC, kept within the years 1 to 9999."""
    if unit in _HOURS:
        try:
            return now.astimezone(UTC) + timedelta(hours=amount)
        except OverflowError:
            return EARLIEST if amount < 0 else LATEST
    wall = _latest_wall_time(now, zone)
    try:
        if unit in _DAYS:
            moved = wall + timedelta(days=amount * _DAYS[unit])
        else:
            moved = _shift_months(wall, amount * _MONTHS[unit])
    except (OverflowError, ValueError):
        return EARLIEST if amount < 0 else LATEST
    return from_wall_time(moved, zone)


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a day in the zone, in UTC."""
    return from_wall_time(datetime.combine(day, time()), zone)


def end_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of the day after, in UTC."""
    return LATEST if day > _LAST_DAY else start_of_day(day + timedelta(days=1), zone)


def from_wall_time(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first moment, in UTC, at which clocks in the zone show `wall` (naive) or, if they skip it, a later time."""
    if wall.date() < _FIRST_DAY:
        return EARLIEST
    if wall.date() > _LAST_DAY:
        return LATEST
    first = wall.replace(fold=0, tzinfo=zone).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return first
    second = wall.replace(fold=1, tzinfo=zone).astimezone(UTC)  # in a gap this one lies before the change
    return _find_change(second, first, zone)


def _shift_months(wall: datetime, months: int) -> datetime:
    index = wall.year * 12 + wall.month - 1 + months
    year, month = index // 12, index % 12 + 1
    if wall.day > monthrange(year, month)[1]:
        return datetime.combine(date(year + month // 12, month % 12 + 1, 1), time())
    return wall.replace(year=year, month=month)


def _latest_wall_time(now: datetime, zone: ZoneInfo) -> datetime:
    """What the clock shows, or while it shows an hour for the second time, the latest that it has shown."""
    local = now.astimezone(zone)
    if not local.fold:
        return local.replace(tzinfo=None)
    offset, earlier_offset = local.utcoffset() or timedelta(), local.replace(fold=0).utcoffset() or timedelta()
    at = local.astimezone(UTC)
    change = _find_change(at - (earlier_offset - offset), at, zone)
    return (change + earlier_offset).replace(tzinfo=None)


def _find_change(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The moment in (low, high] at which the zone's offset changes, to the second (changes are on whole seconds)."""
    low = low.replace(microsecond=0)
    offset = low.astimezone(zone).utcoffset()
    seconds = -(-(high - low) // timedelta(seconds=1))
    while seconds > 1:
        half = seconds // 2
        middle = low + timedelta(seconds=half)
        if middle.astimezone(zone).utcoffset() == offset:
            low, seconds = middle, seconds - half
        else:
            seconds = half
    return low + timedelta(seconds=1)
