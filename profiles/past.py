"""A profile as it was known at a time: its values now, with every later change of the log taken back. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from core.accounts import project
from profiles.models import Profile, ProfileChange


@dataclass(frozen=True, slots=True)
class Known:
    """What was known. `values` is None before the profile was made; `is_certain` is false where the log ends later."""

    at: datetime
    values: dict[str, Any] | None
    is_certain: bool


def as_of(profile: Profile, at: datetime) -> Known:
    """The values of a profile at a time, by property key. One statement, keyed by profile and time."""
    kept_since = timezone.now() - timedelta(days=project.current().log_retention_days)
    is_certain = at >= max(kept_since, profile.created_at) or at < profile.created_at
    if at < profile.created_at:
        return Known(at, None, is_certain)
    values = dict(profile.properties)
    later = ProfileChange.objects.filter(profile_id=profile.pk, at__gt=at).order_by("-at", "-id")
    for changes in later.values_list("changes", flat=True).iterator():
        for key, (before, _) in changes.items():
            values[key] = before
    known = {key: value for key, value in values.items() if value is not None and not key.startswith("_")}
    return Known(at, known, is_certain)
