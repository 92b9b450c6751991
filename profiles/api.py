"""Property rules over HTTP. Thin doors to `rules.py`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps_connectors.models import App
from core.lib.errors import InvalidInput, NotFound
from core.rest.auth import actor_of
from core.rest.endpoint import Endpoint, operation, scopes_of
from core.rest.paging import answer_page
from core.rest.reading import Body, PageQuery, read_body, read_query
from profiles import coverage, rules
from profiles.models import ProfilePropertyRule, Retrieval, RuleState, ValueTypeName
from profiles.rules import AGGREGATIONS, FILTERS, NewRule
from profiles.trying import Trial, try_rule

MOST_FILTERS = 20


class FilterBody(serializers.Serializer[Any]):
    """A condition on the rows of a column rule."""

    column = serializers.CharField(max_length=200)
    operator = serializers.ChoiceField(FILTERS)
    value = serializers.JSONField(required=False, allow_null=True)


class ColumnBody(serializers.Serializer[Any]):
    """Where a column rule finds its value: in which table and column, whose row, and how many rows become one."""

    table = serializers.CharField(max_length=200)
    column = serializers.CharField(max_length=200)
    key_column = serializers.CharField(max_length=200, help_text="The column that matches the unique property.")
    aggregation = serializers.ChoiceField(AGGREGATIONS, required=False)
    sort_column = serializers.CharField(max_length=200, required=False, allow_blank=True)
    filters = serializers.ListField(child=FilterBody(), required=False, max_length=MOST_FILTERS)


class RuleAnswer(serializers.Serializer[ProfilePropertyRule]):
    """What one property is, and where its value comes from."""

    id = serializers.IntegerField()
    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # the word of the domain
    type = serializers.ChoiceField(ValueTypeName.choices)
    is_unique = serializers.BooleanField()
    is_array = serializers.BooleanField()
    identity_rank = serializers.IntegerField(allow_null=True, help_text="Of unique ones: the lowest wins a conflict.")
    app_id = serializers.IntegerField(allow_null=True)
    retrieval = serializers.ChoiceField(Retrieval.choices)
    query = serializers.CharField(allow_blank=True)
    column = serializers.DictField(allow_null=True)
    column_key = serializers.CharField(allow_blank=True, help_text="The unique property that key_column matches.")
    column_label = serializers.CharField(allow_blank=True)
    state = serializers.ChoiceField(RuleState.choices)
    paused_reason = serializers.CharField(allow_blank=True, help_text="While it is set the App is not asked.")
    warning = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class RuleSource(Body):
    """How a property gets its value: by a query or a column of an App, or, with neither, from events."""

    label = serializers.CharField(  # type: ignore[assignment]  # the word of the domain
        max_length=200, required=False, allow_blank=True
    )
    app_id = serializers.IntegerField(required=False, allow_null=True)
    query = serializers.CharField(
        max_length=20_000,
        required=False,
        allow_blank=True,
        help_text="One SELECT with variables such as {{profile.user_id}}.",
    )
    column = ColumnBody(required=False, allow_null=True)
    column_key = serializers.CharField(max_length=60, required=False, allow_blank=True)
    column_label = serializers.CharField(
        max_length=200,
        required=False,
        allow_blank=True,
        help_text="Of an App that takes files: the column that sets it.",
    )


class RuleChanges(RuleSource):
    """What changes of a property."""

    type = serializers.ChoiceField(ValueTypeName.choices, required=False)
    is_unique = serializers.BooleanField(required=False)
    is_array = serializers.BooleanField(required=False)
    identity_rank = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=1000, help_text="Of unique ones: the lowest wins."
    )


class RuleDraft(RuleChanges):
    """A property that is not made yet."""

    key = serializers.CharField(max_length=60, help_text="Small letters, digits and underscores; never changes.")
    type = serializers.ChoiceField(ValueTypeName.choices)


class TriedRule(RuleDraft):
    """A rule to be tried, and on whom."""

    profile_id = serializers.UUIDField(required=False, allow_null=True, help_text="Nobody: someone whom it suits.")
    changes = serializers.CharField(
        required=False, allow_blank=True, max_length=60, help_text="The key of the rule that it would change."
    )


class StatementAnswer(serializers.Serializer[Any]):
    """What was sent to the App, without values."""

    text = serializers.CharField()


class TrialAnswer(serializers.Serializer[Any]):
    """What a rule would give one person."""

    is_ok = serializers.BooleanField()
    profile_id = serializers.UUIDField(allow_null=True)
    variables = serializers.DictField(help_text="Their values that the App was asked with.")
    raw = serializers.JSONField(allow_null=True, help_text="What the App answered.")
    value = serializers.JSONField(allow_null=True, help_text="What it becomes by the rule's type.")
    rejected = serializers.CharField(allow_blank=True, help_text="Why the answer does not fit the type.")
    error = serializers.CharField(allow_blank=True, help_text="Why there is no answer, and what to mend.")
    note = serializers.CharField(allow_blank=True)
    statements = StatementAnswer(many=True)


class Rules(Endpoint):
    """All property rules; a new one."""

    required_scope = scopes_of("profiles")

    @operation("list_rules", query=PageQuery, answers=RuleAnswer, is_page=True)
    def get(self, request: Request) -> Response:
        """Property rules in the order they were made."""
        read_query(request, PageQuery)
        return answer_page(request, _in_use(), ordering="id", show=_show_all)

    @operation("create_rule", body=RuleDraft, answers=RuleAnswer, status=201, is_create=True)
    def post(self, request: Request) -> Response:
        """Make a property that is in use at once; everyone's value is asked for in the background."""
        rule = rules.create_rule(read_draft(read_body(request, RuleDraft)), actor=actor_of(request))
        return Response(show_rule(rule), status=201)


class OneRule(Endpoint):
    """One property rule, by its key."""

    required_scope = scopes_of("profiles")

    @operation("read_rule", answers=RuleAnswer, is_one=True)
    def get(self, request: Request, key: str) -> Response:
        """As it is."""
        return Response(show_rule(find_rule(key)))

    @operation("change_rule", body=RuleChanges, answers=RuleAnswer)
    def patch(self, request: Request, key: str) -> Response:
        """Change what is given; the key stays. What changes its values asks for everyone again, in the background."""
        rule = find_rule(key)
        given = {**_as_given(rule), **read_body(request, RuleChanges, partial=True)}
        rules.update_rule(rule.pk, read_draft(given), actor=actor_of(request))
        return Response(show_rule(find_rule(key)))

    @operation("delete_rule", status=204)
    def delete(self, request: Request, key: str) -> Response:
        """Delete it; its values go in the background. 409, naming its users, while something uses it."""
        rules.delete_rule(find_rule(key).pk, actor=actor_of(request))
        return Response(status=204)


class TryRule(Endpoint):
    """Tries a rule before anyone depends on it."""

    required_scope = "profiles:write"

    @operation("try_rule", body=TriedRule, answers=TrialAnswer)
    def post(self, request: Request) -> Response:
        """What it would give one person: what the App answers, the value it becomes, and the SQL. Nothing is kept."""
        given = read_body(request, TriedRule)
        guid, changes = given.pop("profile_id", None), given.pop("changes", "")
        trial = try_rule(read_draft(given), guid=guid, rule_id=find_rule(changes).pk if changes else None)
        return Response(_show_trial(trial))


class ResumeRule(Endpoint):
    """Takes a paused rule up again."""

    required_scope = "profiles:write"

    @operation("resume_rule", answers=RuleAnswer)
    def post(self, request: Request, key: str) -> Response:
        """Ask its App again, from the next batch on, and for everyone in the background."""
        rules.resume_rule(find_rule(key), actor=actor_of(request))
        return Response(show_rule(find_rule(key)))


class CoverageAnswer(serializers.Serializer[Any]):
    """How many people have a value. Where counting would take long, all numbers are judged by a sample."""

    people = serializers.IntegerField()
    is_exact = serializers.BooleanField()
    with_value = serializers.IntegerField()
    rejected = serializers.IntegerField(help_text="Whose value did not fit the type.")
    last_error = serializers.CharField(allow_blank=True, help_text="Why it could not be asked for someone, last.")
    last_error_at = serializers.DateTimeField(allow_null=True)


class Coverage(Endpoint):
    """How many people have a value for one rule."""

    required_scope = "profiles:read"

    @operation("read_coverage", answers=CoverageAnswer)
    def get(self, request: Request, key: str) -> Response:
        """Counted now, or judged now by a sample."""
        rule = find_rule(key)
        covered = coverage.count_of(rule.key)
        numbers = {name: getattr(covered, name) for name in ("people", "is_exact", "with_value", "rejected")}
        return Response({**numbers, "last_error": rule.last_error, "last_error_at": rule.last_error_at})


# ---------------------------------------------------------------- how they are read and shown


def read_draft(given: Mapping[str, Any]) -> NewRule:
    """What `rules.py` takes, of what a body holds. Raises InvalidInput for an App that there is not."""
    parts = {name: value for name, value in given.items() if name not in ("app_id", "column")}
    app_id = given.get("app_id")
    app = App.objects.filter(pk=app_id).first() if app_id is not None else None
    if app_id is not None and app is None:
        raise InvalidInput(f"There is no App {app_id}.", {"app_id": "Choose one of the Apps."})
    return NewRule(**parts, app=app, column=given.get("column") or {})


def find_rule(key: str) -> ProfilePropertyRule:
    """The rule of a key. Raises NotFound."""
    rule = _in_use().filter(key=key).first()
    if rule is None:
        raise NotFound(f"There is no property {key[:60]}.")
    return rule


def show_rule(rule: ProfilePropertyRule) -> dict[str, Any]:
    """A rule as the API answers it."""
    return {
        "id": rule.pk,
        "key": rule.key,
        "label": rule.label,
        "type": rule.type,
        "is_unique": rule.is_unique,
        "is_array": rule.is_array,
        "identity_rank": rule.identity_rank,
        "app_id": rule.app_id,
        "retrieval": rule.retrieval,
        "query": rule.query,
        "column": rule.column or None,
        "column_key": rule.column_key.key if rule.column_key else "",
        "column_label": rule.column_label,
        "state": rule.state,
        "paused_reason": rule.paused_reason,
        "warning": rule.warning,
        "created_at": rule.created_at,
        "updated_at": rule.updated_at,
    }


def _in_use() -> QuerySet[ProfilePropertyRule]:
    return ProfilePropertyRule.objects.exclude(state=RuleState.DELETED).select_related("column_key")


def _show_trial(trial: Trial) -> dict[str, Any]:
    names = ("is_ok", "value", "rejected", "error", "note")
    return {
        **{name: getattr(trial, name) for name in names},
        "profile_id": trial.guid,
        "variables": dict(trial.variables),
        "raw": None if trial.raw is None else trial.raw if _is_plain(trial.raw) else str(trial.raw),
        "statements": [{"text": each.text} for each in trial.statements],
    }


def _show_all(found: Sequence[ProfilePropertyRule]) -> list[dict[str, Any]]:
    return [show_rule(rule) for rule in found]


def _as_given(rule: ProfilePropertyRule) -> dict[str, Any]:
    """A rule in the words of a draft, to be changed in part."""
    names = ("key", "type", "is_unique", "is_array", "identity_rank", "label", "app_id", "query", "column_label")
    given = {name: getattr(rule, name) for name in names}
    return {**given, "column": rule.column, "column_key": rule.column_key.key if rule.column_key else ""}


def _is_plain(value: Any) -> bool:
    """Whether JSON holds it as it is; a source may answer with a time or a decimal number."""
    return isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))
