"""What a person asked of a subscription's log: read from a query string, for the log itself and for sending again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode

from core.accounts import project
from groups.moving_time import from_wall_time
from profiles import queries as people
from schedules.outbound.models import DeliveryState
from schedules.outbound.queries import Wanted


@dataclass(frozen=True, slots=True)
class LogFilters:
    """The filters as they were written, and what they mean. What means nothing is left out."""

    state: str = ""
    since: str = ""
    until: str = ""
    person: str = ""
    wanted: Wanted = field(default_factory=Wanted)

    @property
    def query(self) -> str:
        """What was asked for, as a query string."""
        names = ("state", "since", "until", "person")
        return urlencode({name: getattr(self, name) for name in names if getattr(self, name)})


def read_filters(given: Mapping[str, str]) -> LogFilters:
    """Someone is named as in the search for people; times are the project's."""
    state, person = given.get("state", ""), given.get("person", "").strip()[:200]
    state = state if state in DeliveryState.values else ""
    since, until = read_time(given.get("since")), read_time(given.get("until"))
    profiles = tuple(each.pk for each in people.search(person, people.rules_in_use())) if person else None
    return LogFilters(
        state=state,
        since=given.get("since", "") if since else "",
        until=given.get("until", "") if until else "",
        person=person,
        wanted=Wanted(state, since, until, profiles),
    )


def read_time(text: str | None) -> datetime | None:
    """A time as `datetime-local` sends it, in the project's zone; None when there is none."""
    try:
        wall = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return wall if wall.tzinfo else from_wall_time(wall, project.current().time_zone)
