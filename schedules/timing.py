"""When a schedule is due: every so many minutes, or by a cron line in the project's time zone. Pure functions.

Times that were missed while nothing ran give one run, not one for each: the next time is always reckoned from now.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import croniter
from croniter.croniter import CroniterError
from django.utils.translation import gettext

from core.lib.errors import InvalidInput

_CRON_FIELDS = 5
_MOST_MINUTES = 366 * 24 * 60


def next_time(
    *, every_minutes: int | None, cron: str, zone: ZoneInfo, now: datetime, previous: datetime | None = None
) -> datetime | None:
    """The first time after `now` at which the schedule is due, aware; None when it is run by hand only.

    Every N minutes keeps its beat from `previous` on, so that a late start does not shift all later ones.
    """
    if every_minutes:
        beat = timedelta(minutes=every_minutes)
        if previous is None or previous > now:
            return now + beat
        return previous + beat * ((now - previous) // beat + 1)
    return _next_by_cron(cron, zone, now) if cron else None


def check_rhythm(*, every_minutes: int | None, cron: str, now: datetime) -> None:
    """Raise `InvalidInput` unless it is a number of minutes from 1 on, a cron line that comes due, or neither."""
    if every_minutes is not None and cron:
        raise InvalidInput(
            gettext("Choose either a number of minutes or a cron line, not both."),
            {"cron": gettext("Leave one of the two empty.")},
        )
    if every_minutes is not None:
        _check_minutes(every_minutes)
    if cron:
        _check_cron(cron, now)


def _check_minutes(every_minutes: int) -> None:
    if isinstance(every_minutes, bool) or not isinstance(every_minutes, int):
        reason = gettext("Give a whole number of minutes.")
    elif every_minutes < 1:
        reason = gettext(
            "Every %(every_minutes)s minutes is not possible: give 1 or more, or leave it empty to run by hand."
        ) % {"every_minutes": every_minutes}
    elif every_minutes > _MOST_MINUTES:
        reason = gettext("More than a year between two runs is not possible: give fewer minutes.")
    else:
        return
    raise InvalidInput(reason, {"every_minutes": reason})


def _check_cron(cron: str, now: datetime) -> None:
    fields = cron.split()
    if not (len(fields) == _CRON_FIELDS or (len(fields) == 1 and cron.startswith("@"))) or not croniter.is_valid(cron):
        reason = gettext(
            "“%(cron)s” is not a cron line: give minute, hour, day of month, month and day of "
            "week, such as “30 6 * * 1-5” for half past six on weekdays."
        ) % {"cron": cron}
    elif _first_after(cron, now) is None:
        reason = gettext("“%(cron)s” never comes due: that date does not exist.") % {"cron": cron}
    else:
        return
    raise InvalidInput(reason, {"cron": reason})


def _next_by_cron(cron: str, zone: ZoneInfo, now: datetime) -> datetime | None:
    """In the night when clocks go back an hour comes twice: a line with fixed hours counts only the first of the two.

    In the night when clocks go forward a time that does not exist is taken at the end of the gap.
    """
    hours = cron.split()[1] if " " in cron.strip() else "*" if cron.strip() == "@hourly" else "0"
    at = _first_after(cron, now.astimezone(zone))
    while at is not None and at.fold and not hours.startswith("*"):
        at = _first_after(cron, at)
    return at


def _first_after(cron: str, start: datetime) -> datetime | None:
    try:
        found = croniter(cron, start).get_next(datetime)
    except CroniterError:
        return None
    return found if isinstance(found, datetime) else None
