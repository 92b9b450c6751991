"""Sending again what a destination accepted or refused already: of some people, of a time, of everyone.

A run does it: first it owes, a slice at a time, what the ledger says of the people who are asked for; then it goes on
as any other, so that what leaves is the newest. What the destination accepted is written as a whole, as if nobody knew
what it holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils.translation import gettext

from core.accounts.actors import Actor
from core.lib.errors import InvalidInput, Refused
from schedules import ledger, runs
from schedules.models import Direction, Run

AGAIN = "again"  # an option of a run
MOST_NAMED = 1000  # people that one call may name
_AT_ONCE = 5000
_IN_TIME = (
    "accepted_at >= coalesce(%(since)s::timestamptz, '-infinity')"
    " and accepted_at < coalesce(%(until)s::timestamptz, 'infinity')"
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Who is sent again, one of: the named, those accepted from `since` until `until`, the rejected, everyone."""

    profiles: Sequence[UUID] = ()
    since: datetime | None = None
    until: datetime | None = None
    rejected: bool = False
    everything: bool = False

    def write(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "profiles": [str(each) for each in self.profiles],
            "since": self.since.isoformat() if self.since else None,
            "until": self.until.isoformat() if self.until else None,
            "rejected": self.rejected,
            "everything": self.everything,
        }


def start(schedule_id: int, selection: Selection, *, actor: Actor) -> Run:
    """Start a run of an export that sends these people again; raises `InvalidInput`, `Refused` or `NotFound`."""
    if not count(schedule_id, selection):
        raise Refused(gettext("The destination holds none of these people from this export, and refused none of them."))
    options = {AGAIN: selection.write()}
    return runs.start_run(schedule_id, trigger=actor.cause, actor=actor, options=options, direction=Direction.EXPORT)


def count(schedule_id: int, selection: Selection) -> int:
    """How many people would be sent again; raises `InvalidInput` for a selection that says not one thing."""
    _check(selection)
    which, given = _which(selection.write())
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from export_record where schedule_id = %(schedule)s"
            f" and (state = 'rejected' or state = 'held' and key is not null) and {which}",
            {**given, "schedule": schedule_id},
        )
        return int(cursor.fetchone()[0])


def is_asked(run: Run) -> bool:
    """Whether this run sends something again."""
    return AGAIN in run.options


def is_everything(run: Run) -> bool:
    """Whether it sends everyone anew."""
    return is_asked(run) and bool(run.options[AGAIN]["everything"])


def owe(run: Run, *, after: str | None) -> tuple[str, bool]:
    """Owe the next of them, behind `after`; the last of these, and whether there may be more."""
    which, given = _which(run.options[AGAIN])
    behind = UUID(after) if after else UUID(int=0)
    last, many = ledger.send_again(run.schedule_id, which, given, after=behind, limit=_AT_ONCE)
    return str(last), many == _AT_ONCE


def _check(selection: Selection) -> None:
    is_time = selection.since is not None or selection.until is not None
    ways = [bool(selection.profiles), is_time, selection.rejected, selection.everything]
    if sum(ways) != 1:
        raise InvalidInput(
            gettext("Say one thing: people, a time, the rejected, or everything."),
            {"profiles": gettext("Say one thing.")},
        )
    if len(selection.profiles) > MOST_NAMED:
        raise InvalidInput(
            gettext("Name at most %(most_named)s people at once.") % {"most_named": f"{MOST_NAMED:,}"},
            {"profiles": gettext("Too many.")},
        )


def _which(written: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """SQL over a row of the ledger, and its parameters."""
    if written["profiles"]:
        return "profile_id = any(%(profiles)s::uuid[])", {"profiles": list(written["profiles"])}
    if written["rejected"]:
        return "state = 'rejected'", {}
    if written["everything"]:
        return "true", {}
    return _IN_TIME, {"since": written["since"], "until": written["until"]}
