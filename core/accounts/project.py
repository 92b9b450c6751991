"""What the team decides, in one row. The only writer of `Project`; everyone reads it through `current()`.

The row is made the first time it is read, with values from the environment (`settings.PROJECT_DEFAULTS`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy

from core.accounts import audit
from core.accounts.actors import SYSTEM, Actor
from core.accounts.models import Project
from core.lib.errors import InvalidInput
from core.work import database, leases

CACHE_SECONDS = 5.0
ZONE_WORK = "time_zone"  # the kind of work that a change of the time zone leaves to `groups`

COPY_REASON = (
    "This database was restored or moved to another server. Make sure that no other copy sends, then start sending."
)

# Values that programs and people put where they have none, and that so many people would share.
NEVER_IDENTIFY = ("null", "none", "nan", "undefined", "unknown", "anonymous", "n/a", "test@test.com")


@dataclass(frozen=True, slots=True)
class ProjectSettings:
    """The project's settings at one moment. `blocked_values` are lower-case."""

    name: str
    time_zone: ZoneInfo
    phone_region: str
    blocked_values: frozenset[str]
    identity_limit: int
    user_id_key: str
    event_retention_days: int
    log_retention_days: int
    delivery_retention_days: int
    guard_share: float
    guard_minimum: int
    two_factor_required: bool
    sending_stopped: bool
    sending_stopped_reason: str


@dataclass(slots=True)
class _Cache:
    value: ProjectSettings | None = None
    until: float = 0.0


_cache = _Cache()


def current() -> ProjectSettings:
    """The project's settings, at most five seconds old."""
    if _cache.value is None or time.monotonic() >= _cache.until:
        _cache.value = _freeze(_row())
        _cache.until = time.monotonic() + CACHE_SECONDS
    return _cache.value


def forget() -> None:
    """Read the row again next time."""
    _cache.value = None


_checks: list[Callable[[Mapping[str, Any]], None]] = []


def check_with(check: Callable[[Mapping[str, Any]], None]) -> None:
    """Let an upper app refuse settings: `check` is given the values that change and raises InvalidInput."""
    if check not in _checks:
        _checks.append(check)


_zone_watchers: list[Callable[[ZoneInfo], None]] = []


def when_zone_changes(tell: Callable[[ZoneInfo], None]) -> None:
    """Let an upper app know of a new time zone, in the same transaction. Other processes know of it seconds later."""
    if tell not in _zone_watchers:
        _zone_watchers.append(tell)


def update(changes: Mapping[str, Any], *, actor: Actor) -> ProjectSettings:
    """Change some settings, by the names of `Project`'s fields. Raises InvalidInput and changes nothing then."""
    problems = {}
    values = {}
    for field, value in changes.items():
        reader = _READERS.get(field)
        try:
            if reader is None:
                raise ValueError(gettext("There is no such setting."))
            values[field] = reader(value)
        except (ValueError, TypeError) as error:
            problems[field] = str(error)
    if problems:
        raise InvalidInput(" ".join(problems.values()), problems)
    for check in _checks:
        check(values)
    _row()
    with transaction.atomic():
        project = Project.objects.select_for_update(no_key=True).get(pk=1)
        before = _seen(project)
        for field, value in values.items():
            setattr(project, field, value)
        if _seen(project) != before:
            project.save()
            if project.time_zone != before["time_zone"]:
                later = timezone.now() + timedelta(seconds=2 * CACHE_SECONDS)  # when every process knows of it
                leases.enqueue(kind=ZONE_WORK, subject=project.time_zone, at=later)
                for tell in _zone_watchers:
                    tell(ZoneInfo(project.time_zone))
            audit.record("project.update", project, before=before, after=_seen(project), actor=actor)
        transaction.on_commit(forget)
    return _freeze(project)


def note_start() -> bool:
    """Called before the product starts: on a restored or moved copy all sending is stopped, until a person looks.

    What was sent after the backup is not known here, and another copy may be running. Returns whether it stopped.
    """
    here = database.identify()
    _row()
    with transaction.atomic():
        project = Project.objects.select_for_update(no_key=True).get(pk=1)
        is_copy = project.database not in ("", here)
        if project.database != here:
            Project.objects.filter(pk=1).update(database=here)
        if is_copy:
            update({"sending_stopped": True, "sending_stopped_reason": COPY_REASON}, actor=SYSTEM)
    return is_copy


def _row() -> Project:
    project = Project.objects.filter(pk=1).first()
    if project is None:
        first = {"blocked_values": list(NEVER_IDENTIFY), **settings.PROJECT_DEFAULTS}
        Project.objects.bulk_create([Project(pk=1, **first)], ignore_conflicts=True)
        project = Project.objects.get(pk=1)
    return project


def _seen(project: Project) -> dict[str, Any]:
    return {field: getattr(project, field) for field in _READERS}


def _freeze(project: Project) -> ProjectSettings:
    return ProjectSettings(
        name=project.name,
        time_zone=ZoneInfo(project.time_zone),
        phone_region=project.phone_region,
        blocked_values=frozenset(str(value).strip().lower() for value in project.blocked_values),
        identity_limit=project.identity_limit,
        user_id_key=project.user_id_key,
        event_retention_days=project.event_retention_days,
        log_retention_days=project.log_retention_days,
        delivery_retention_days=project.delivery_retention_days,
        guard_share=project.guard_share,
        guard_minimum=project.guard_minimum,
        two_factor_required=project.two_factor_required,
        sending_stopped=project.sending_stopped,
        sending_stopped_reason=project.sending_stopped_reason,
    )


def _read_name(value: Any) -> str:
    name = str(value).strip()
    if not 1 <= len(name) <= 200:
        raise ValueError(gettext("The name has to have 1 to 200 characters."))
    return name


def read_zone(value: Any) -> str:
    """The name of a time zone. Raises ValueError."""
    if value not in available_timezones():
        raise ValueError(gettext("“%(value)s” is not a time zone. Write one such as Europe/Berlin.") % {"value": value})
    return str(value)


def _read_region(value: Any) -> str:
    region = str(value).strip().upper()
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(gettext("“%(value)s” is not a region. Write two letters such as US or DE.") % {"value": value})
    return region


def _read_values(value: Any) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError(gettext("Values that never identify anyone have to be a list of texts."))
    return sorted({item.strip().lower() for item in value if item.strip()})


def _read_key(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z][a-z0-9_]{0,59}", value):
        raise ValueError(gettext("Name the property that userId stands for by its key, such as user_id."))
    return value


def _read_share(value: Any) -> float:
    share = float(value)
    if not 0 < share <= 1:
        raise ValueError(gettext("The guard's share has to lie between 0 and 1, such as 0.2 for 20 %."))
    return share


def _read_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(gettext("This is either true or false."))
    return value


def _whole_number(least: int, what: str | Promise) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 1_000_000:
            raise ValueError(
                gettext("%(what)s has to be a whole number from %(least)s to 1,000,000.")
                % {"what": what, "least": least}
            )
        return value

    return read


_READERS: dict[str, Callable[[Any], Any]] = {
    "name": _read_name,
    "time_zone": read_zone,
    "phone_region": _read_region,
    "blocked_values": _read_values,
    "identity_limit": _whole_number(1, gettext_lazy("The number of anonymous ids that one person may have")),
    "user_id_key": _read_key,
    "event_retention_days": _whole_number(7, gettext_lazy("The number of days that events are kept")),
    "log_retention_days": _whole_number(7, gettext_lazy("The number of days that logs are kept")),
    "delivery_retention_days": _whole_number(
        1, gettext_lazy("The number of days that deliveries of outbound events are kept")
    ),
    "guard_share": _read_share,
    "guard_minimum": _whole_number(1, gettext_lazy("The guard's minimum")),
    "two_factor_required": _read_flag,
    "sending_stopped": _read_flag,
    "sending_stopped_reason": lambda value: str(value)[:300],
}
