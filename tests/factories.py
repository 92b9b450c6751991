"""Rows that tests of several parts start from. Factories are functions with keyword defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import F

from core.lib import uuid7
from core.lib.copying import copy_rows
from profiles.models import ProfilePropertyRule, Retrieval, RuleSetVersion

BORN = datetime(2024, 1, 1, tzinfo=UTC)


def make_rule(key: str, type_name: str = "string", *, is_array: bool = False, **more: Any) -> ProfilePropertyRule:
    """A property rule whose values come in events, written without its own door."""
    RuleSetVersion.objects.update(version=F("version") + 1)
    fields: dict[str, Any] = {"label": key, "retrieval": Retrieval.EVENT, **more}
    return ProfilePropertyRule.objects.create(key=key, type=type_name, is_array=is_array, **fields)


def make_profiles(people: Sequence[Mapping[str, Any]], *, born: datetime = BORN) -> list[UUID]:
    """Profiles with these properties (stored form), in the order of their ids; dates of timed rules are kept too."""
    guids = uuid7.make_many(born, len(people))
    rows = [(guid, json.dumps(values), "{}", born, born) for guid, values in zip(guids, people, strict=True)]
    with connection.cursor() as cursor:
        copy_rows(cursor, "profile", ("guid", "properties", "property_meta", "created_at", "updated_at"), rows)
    keep_dates(guids)
    return guids


def set_properties(guid: UUID, values: Mapping[str, Any]) -> None:
    """Give a profile these properties instead of what it had."""
    with connection.cursor() as cursor:
        cursor.execute("update profile set properties = %s::jsonb where guid = %s", [json.dumps(values), guid])
    keep_dates([guid])


def keep_dates(guids: Sequence[UUID]) -> None:
    """Bring ProfileDate up to the properties of these profiles, for the rules that time follows."""
    with connection.cursor() as cursor:
        cursor.execute("delete from profile_date where profile_id = any(%s)", [list(guids)])
        cursor.execute(
            "insert into profile_date (rule_id, profile_id, at)"
            " select r.id, p.guid, (p.properties ->> r.key)::timestamptz from profile p, profile_property_rule r"
            "  where r.is_timed and p.guid = any(%s) and p.properties ? r.key"
            " union all select 0, p.guid, p.updated_at from profile p, rule_set_version v"
            "  where v.follows_updates and p.guid = any(%s)",
            [list(guids), list(guids)],
        )
