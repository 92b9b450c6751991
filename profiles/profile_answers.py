"""How the API answers profiles, for the doors of this app and of those above it. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast
from rest_framework import serializers

from profiles import queries
from profiles.models import Profile, ProfileChange


class ProfileAnswer(serializers.Serializer[Profile]):
    """A person as far as we know them."""

    id = serializers.UUIDField()
    properties = serializers.DictField(help_text="Typed values by key; a key without a value is absent.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    hydrated_at = serializers.DateTimeField(allow_null=True, help_text="When Apps were last asked.")
    merged_into = serializers.UUIDField(allow_null=True)


class PropertyAnswer(serializers.Serializer[Any]):
    """One property of one person, and where its value came from."""

    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # the word of the domain
    type = serializers.CharField()
    value = serializers.JSONField(allow_null=True)
    source = serializers.CharField(help_text="The App that is asked, or Events.")  # type: ignore[assignment]
    cause = serializers.CharField(
        allow_blank=True, help_text="What set it, where that is not its own source: event:ID or person:ID."
    )
    as_of = serializers.DateTimeField(allow_null=True, help_text="The time for which the value holds.")
    updated_at = serializers.DateTimeField(allow_null=True)
    rejected = serializers.CharField(allow_blank=True, help_text="What did not fit the type.")
    why_missing = serializers.CharField(allow_blank=True)


class DetailedProfileAnswer(ProfileAnswer):
    """A person with every property and its provenance."""

    name = serializers.CharField()
    details = PropertyAnswer(many=True)


class ChangeAnswer(serializers.Serializer[Any]):
    """What one batch changed of a person."""

    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    cause = serializers.CharField(help_text="event:ID, run:ID, person:ID or hydration.")
    changes = serializers.DictField(child=serializers.ListField(), help_text="By key: the old value and the new one.")
    lost = serializers.DictField(
        child=serializers.ListField(), allow_null=True, help_text="Values that came too late, by key."
    )


def show_profiles(profiles: Sequence[Profile]) -> list[dict[str, Any]]:
    """Profiles as lists answer them."""
    return [show_profile(profile) for profile in profiles]


def listed(profiles: QuerySet[Profile]) -> QuerySet[Any, Any]:
    """What `show_listed` needs of profiles; the properties as the text they are, since a list only passes them on."""
    text = Cast("properties", TextField())
    return profiles.annotate(text=text).values("guid", "text", "created_at", "updated_at", "hydrated_at", "merged_into")


def show_listed(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `listed` as lists answer profiles."""
    return [
        {
            "id": row["guid"],
            "properties": orjson.Fragment(row["text"]),
            "created_at": row["created_at"],
            "updated_at": row["updated_at"],
            "hydrated_at": row["hydrated_at"],
            "merged_into": row["merged_into"],
        }
        for row in rows
    ]


def show_profile(profile: Profile) -> dict[str, Any]:
    """One profile without provenance."""
    return {
        "id": profile.pk,
        "properties": profile.properties,
        "created_at": profile.created_at,
        "updated_at": profile.updated_at,
        "hydrated_at": profile.hydrated_at,
        "merged_into": profile.merged_into,
    }


def show_in_detail(profile: Profile) -> dict[str, Any]:
    """One profile with every property and its provenance."""
    rules = queries.rules_in_use()
    lines = queries.describe(profile, rules, queries.variables(rules))
    details = [
        {
            "key": line.rule.key,
            "label": line.rule.label,
            "type": line.rule.type,
            "value": profile.properties.get(line.rule.key),
            "source": line.source,
            "cause": line.cause,
            "as_of": line.as_of,
            "updated_at": line.updated,
            "rejected": line.rejected,
            "why_missing": line.why,
        }
        for line in lines
    ]
    return {
        **show_profile(profile),
        "name": queries.name_people([profile], rules)[0].name,
        "details": details,
    }


def show_changes(changes: Sequence[ProfileChange]) -> Any:
    """Rows of the change log."""
    return ChangeAnswer(changes, many=True).data
