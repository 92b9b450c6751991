"""The one row of things the team decides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import TestCase

from core.accounts import project
from core.accounts.actors import SYSTEM
from core.accounts.models import AuditEntry, Project
from core.lib.errors import InvalidInput

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    project.forget()
    yield
    project.forget()


def test_the_first_values_come_from_the_environment(settings: Any) -> None:
    settings.PROJECT_DEFAULTS = {"time_zone": "Europe/Berlin", "phone_region": "DE"}
    found = project.current()
    assert (found.time_zone.key, found.phone_region) == ("Europe/Berlin", "DE")
    assert "test@test.com" in found.blocked_values
    assert Project.objects.count() == 1


def test_later_values_are_the_team_s(settings: Any) -> None:
    project.update({"time_zone": "Asia/Tokyo"}, actor=SYSTEM)
    settings.PROJECT_DEFAULTS = {"time_zone": "Europe/Berlin"}
    project.forget()
    assert project.current().time_zone.key == "Asia/Tokyo"


def test_a_change_is_seen_at_once_here_and_is_in_the_audit_log() -> None:
    project.current()
    with TestCase.captureOnCommitCallbacks(execute=True):
        project.update({"guard_share": 0.5, "blocked_values": ["N/A ", "nobody@example.com"]}, actor=SYSTEM)
    assert project.current().guard_share == 0.5
    assert project.current().blocked_values == {"n/a", "nobody@example.com"}
    entry = AuditEntry.objects.get(action="project.update")
    assert entry.after == {"guard_share": 0.5, "blocked_values": ["n/a", "nobody@example.com"]}


def test_reading_again_within_seconds_asks_nothing(django_assert_num_queries: Any) -> None:
    project.current()
    with django_assert_num_queries(0):
        project.current()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_zone", "Mars/Olympus"),
        ("phone_region", "Germany"),
        ("guard_share", 0),
        ("guard_share", float("nan")),
        ("guard_share", "much"),
        ("event_retention_days", 0),
        ("event_retention_days", True),
        ("delivery_retention_days", 0),
        ("guard_minimum", 2.5),
        ("blocked_values", "null"),
        ("sending_stopped", "yes"),
        ("name", "  "),
        ("favourite_colour", "green"),
    ],
)
def test_what_cannot_be_used_is_named_and_changes_nothing(field: str, value: Any) -> None:
    before = project.current()
    with pytest.raises(InvalidInput) as caught:
        project.update({"name": "Shop", field: value} if field != "name" else {"name": value}, actor=SYSTEM)
    assert list(caught.value.fields) == [field]
    project.forget()
    assert project.current() == before
