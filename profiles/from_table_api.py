"""Many properties of one table, and what would be if a property identified people, over HTTP."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps_connectors.models import App
from core.lib.errors import InvalidInput, NotFound
from core.rest.auth import actor_of
from core.rest.endpoint import Endpoint, operation
from core.rest.reading import Body, read_body
from profiles import from_table, uniqueness
from profiles.api import RuleAnswer, show_rule
from profiles.models import ProfilePropertyRule, RuleState, ValueTypeName
from profiles.uniqueness import Simulation


class GuessBody(Body):
    """Which table."""

    app_id = serializers.IntegerField(min_value=1)
    table = serializers.CharField(max_length=500)


class GuessAnswer(serializers.Serializer[Any]):
    """What a column probably is."""

    column = serializers.CharField()
    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # the word of the domain
    type = serializers.ChoiceField(ValueTypeName.choices)
    is_unique = serializers.BooleanField()
    samples = serializers.ListField(child=serializers.CharField())
    known_as = serializers.CharField(allow_blank=True, help_text="The key of the property that reads it already.")


class TableGuessAnswer(serializers.Serializer[Any]):
    """What a table's columns probably are."""

    table = serializers.CharField()
    key_column = serializers.CharField(allow_blank=True, help_text="The column that says whose row it is.")
    key_property = serializers.CharField(allow_blank=True, help_text="The property that it matches.")
    key_is_new = serializers.BooleanField(help_text="Whether that property would have to be made.")
    key_type = serializers.ChoiceField(ValueTypeName.choices)
    columns = GuessAnswer(many=True)


class ChosenColumn(serializers.Serializer[Any]):
    """A column that becomes a property."""

    column = serializers.CharField(max_length=500)
    key = serializers.CharField(max_length=60)
    label = serializers.CharField(max_length=200, required=False, allow_blank=True)  # type: ignore[assignment]
    type = serializers.ChoiceField(ValueTypeName.choices)
    is_unique = serializers.BooleanField(required=False)


class MakeBody(GuessBody):
    """Which columns of a table become properties."""

    key_column = serializers.CharField(max_length=500)
    key_property = serializers.CharField(max_length=60)
    columns = serializers.ListField(child=ChosenColumn(), min_length=1, max_length=500)


class MadeAnswer(serializers.Serializer[Any]):
    """The properties that were made."""

    results = RuleAnswer(many=True)


class SimulationAnswer(serializers.Serializer[Simulation]):
    """What would be if a property identified people."""

    shared_values = serializers.IntegerField(help_text="Values that more than one person has: 0 means that it can.")
    people = serializers.IntegerField(help_text="How many people share them.")
    largest = serializers.IntegerField(help_text="How many people have the value that most people have.")
    examples = serializers.ListField(child=serializers.CharField())
    is_complete = serializers.BooleanField(help_text="Whether everyone was looked at, and not only the newest.")


class GuessFromTable(Endpoint):
    """Guesses properties."""

    required_scope = "profiles:write"

    @operation("guess_properties", body=GuessBody, answers=TableGuessAnswer)
    def post(self, request: Request) -> Response:
        """What the columns of a table probably are, by its first rows."""
        given = read_body(request, GuessBody)
        return Response(TableGuessAnswer(from_table.guess(_app(given), given["table"])).data)


class MakeFromTable(Endpoint):
    """Makes many properties."""

    required_scope = "profiles:write"

    @operation("make_properties", body=MakeBody, answers=MadeAnswer, status=201, is_create=True)
    def post(self, request: Request) -> Response:
        """Make a property of each column, all of them or none."""
        given = read_body(request, MakeBody)
        made = from_table.make(
            _app(given),
            given["table"],
            key_column=given["key_column"],
            key_property=given["key_property"],
            chosen=given["columns"],
            actor=actor_of(request),
        )
        return Response({"results": [show_rule(rule) for rule in made]}, status=201)


class SimulateUnique(Endpoint):
    """What would be if a property identified people."""

    required_scope = "profiles:read"

    @operation("simulate_unique", answers=SimulationAnswer)
    def get(self, request: Request, key: str) -> Response:
        """Which people share a value, before it is made unique. Nothing changes."""
        rule = ProfilePropertyRule.objects.filter(key=key).exclude(state=RuleState.DELETED).first()
        if rule is None:
            raise NotFound(f"There is no property {key[:60]}.")
        return Response(SimulationAnswer(uniqueness.simulate(rule)).data)


def _app(given: dict[str, Any]) -> App:
    app = App.objects.filter(pk=given["app_id"]).first()
    if app is None:
        raise InvalidInput("There is no such App.", {"app_id": "Name an App by its number."})
    return app
