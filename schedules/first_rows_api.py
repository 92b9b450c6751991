"""What would become of the first rows of an import, over HTTP, before its schedule is made or changed."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.rest.endpoint import Endpoint, operation
from core.rest.reading import read_body
from schedules.api import NewSchedule, read_given
from schedules.first_rows import Fate, FirstRow, FirstRows, try_first_rows
from schedules.schedules_store import ScheduleData


class TriedChangeAnswer(serializers.Serializer[Any]):
    """One property that a row would change."""

    key = serializers.CharField()
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)


class TriedRowAnswer(serializers.Serializer[Any]):
    """One row and what would become of it."""

    number = serializers.IntegerField(help_text="Its place among the rows; of one that cannot be read, its line.")
    fate = serializers.ChoiceField(Fate.choices)
    profile_id = serializers.UUIDField(allow_null=True, help_text="Of someone who is known already.")
    values = serializers.DictField(help_text="Those of the mapped columns, by property.")
    changes = TriedChangeAnswer(many=True)
    problems = serializers.ListField(child=serializers.CharField())


class FirstRowsAnswer(serializers.Serializer[Any]):
    """The first rows of an import."""

    counts = serializers.DictField(child=serializers.IntegerField(), help_text="How many rows have each fate.")
    mapping = serializers.DictField(child=serializers.CharField(), help_text="The property that each column feeds.")
    rows = TriedRowAnswer(many=True)
    notes = serializers.ListField(child=serializers.CharField())
    has_more = serializers.BooleanField()


class TryFirstRows(Endpoint):
    """Tries an import without saving it."""

    required_scope = "schedules:write"

    @operation("try_first_rows", body=NewSchedule, answers=FirstRowsAnswer)
    def post(self, request: Request) -> Response:
        """Read its first rows and say what a run would do with each. Nothing is saved; its App is asked."""
        return Response(_show(try_first_rows(ScheduleData(**read_given(read_body(request, NewSchedule))))))


def _show(first: FirstRows) -> dict[str, Any]:
    return {
        "counts": first.counts,
        "mapping": dict(first.mapping),
        "rows": [_show_row(row) for row in first.rows],
        "notes": list(first.notes),
        "has_more": first.has_more,
    }


def _show_row(row: FirstRow) -> dict[str, Any]:
    return {
        "number": row.number,
        "fate": row.fate.value,
        "profile_id": row.profile_id,
        "values": dict(row.values),
        "changes": [{"key": key, "before": before, "after": after} for key, (before, after) in row.changes.items()],
        "problems": list(row.problems),
    }
