"""Trying a property rule on one person before anybody depends on it. Nothing is written; its App is asked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.utils.translation import gettext

from apps_connectors.connections import connect
from core.accounts import project
from core.lib.errors import InvalidInput
from plugins.base import RetrievesProperties
from plugins.contracts import Answer, ColumnAsk, Filter, PluginError, QueryAsk, Statement
from profiles.models import Profile, ProfilePropertyRule, Retrieval
from profiles.rule_checks import NewRule, read_rules, refuse_cycle
from profiles.ruleset import parser_of
from profiles.types import Rejected

_SEARCHED = 500  # of the newest people, for one whom the rule can be tried on


@dataclass(frozen=True, slots=True)
class Trial:
    """What a rule would give one person.

    `raw` is what the App answered, `value` what it becomes by the rule's type. `error` is a sentence when there is no
    answer; `fields` then names the part of the draft to mend, as in `NewRule`. `note` says what else is worth knowing.
    `variables` are the person's values that the App was asked with.
    """

    guid: UUID | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    raw: Any = None
    value: Any = None
    rejected: str = ""
    error: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    statements: Sequence[Statement] = ()

    @property
    def is_ok(self) -> bool:
        """Whether the rule works, be it that this person has no value."""
        return not self.error and not self.rejected


def try_rule(draft: NewRule, *, guid: UUID | None = None, rule_id: int | None = None) -> Trial:
    """Try a draft on a person; without one, on the newest who has all that it reads.

    `rule_id` is the rule that the draft would change. Never raises for what is wrong with the draft or its App.
    """
    try:
        reads = read_rules(draft)
        if rule_id is not None:
            refuse_cycle(reads, rule_id=rule_id)
    except InvalidInput as error:
        return Trial(error=error.message, fields=error.fields)
    profile = _find_person(guid, [rule.key for rule in reads])
    if profile is None:
        return Trial(
            error=gettext("There is nobody to try it on yet.") if guid is None else gettext("There is no such person.")
        )
    if draft.retrieval == Retrieval.EVENT:
        return _read_held(draft, profile)
    variables = {rule.key: profile.properties.get(rule.key) for rule in reads}
    missing = [str(rule) for rule in reads if variables[rule.key] is None]
    if missing:
        names = gettext(" and no ").join(missing)
        note = gettext("This person has no %(names)s, so the App is not asked.") % {"names": names}
        return Trial(profile.pk, variables, note=note)
    return _ask(draft, profile.pk, variables, {rule.key: rule.type for rule in reads})


def find_people(reads: Sequence[ProfilePropertyRule], *, limit: int = 5) -> list[Profile]:
    """Of the newest people some whom a rule that reads these can be tried on."""
    keys = [rule.key for rule in reads]
    newest = Profile.objects.filter(merged_into__isnull=True).order_by("-guid")[:_SEARCHED]
    known = [profile for profile in newest if all(profile.properties.get(key) is not None for key in keys)]
    return known[:limit]


def _find_person(guid: UUID | None, keys: Sequence[str]) -> Profile | None:
    if guid is not None:
        return Profile.objects.filter(pk=guid).first()
    newest = list(Profile.objects.filter(merged_into__isnull=True).order_by("-guid")[:_SEARCHED])
    known = (profile for profile in newest if all(profile.properties.get(key) is not None for key in keys))
    return next(known, newest[0] if newest else None)


def _read_held(draft: NewRule, profile: Profile) -> Trial:
    held = profile.properties.get(draft.key)
    if held is None:
        note = gettext("Its values arrive in events, so there is nobody to ask. This person has none yet.")
        return Trial(profile.pk, note=note)
    value, rejected = _typed(draft, held)
    note = gettext("Its values arrive in events, so there is nobody to ask. This is what is known.")
    return Trial(profile.pk, raw=held, value=value, rejected=rejected, note=note)


def _ask(draft: NewRule, guid: UUID, variables: Mapping[str, Any], types: Mapping[str, str]) -> Trial:
    assert draft.app is not None  # noqa: S101  `read_rules` looked
    try:
        with connect(draft.app.pk, reading=True) as app:
            if not isinstance(app, RetrievesProperties):
                message = gettext("%(app)s cannot be asked for properties.") % {"app": draft.app.name}
                return Trial(guid, variables, error=message, fields={"app": message})
            retrieval = app.retrieve([_ask_of(draft, types)], [variables])
    except PluginError as error:
        return Trial(guid, variables, error=error.reason, fields={_part(draft): error.reason})
    answer, statements = retrieval.answers[0], tuple(retrieval.statements)
    if answer.error:
        fields = {_part(draft): answer.error}
        return Trial(guid, variables, error=answer.error, fields=fields, statements=statements)
    raw = answer.values[0] if answer.values else None
    value, rejected = _typed(draft, raw)
    return Trial(guid, variables, raw, value, rejected, note=_note(draft, answer), statements=statements)


def _part(draft: NewRule) -> str:
    return "query" if draft.retrieval == Retrieval.QUERY else "column"


def _note(draft: NewRule, answer: Answer) -> str:
    if answer.several and not draft.is_array:
        return gettext("There is more than one row for this person; the first is taken.")
    return ""


def _typed(draft: NewRule, raw: Any) -> tuple[Any, str]:
    parse = parser_of(draft.type, is_array=draft.is_array, region=project.current().phone_region)
    try:
        return parse(raw), ""
    except Rejected as rejected:
        return None, rejected.reason


def _ask_of(draft: NewRule, types: Mapping[str, str]) -> QueryAsk | ColumnAsk:
    if draft.retrieval == Retrieval.QUERY:
        return QueryAsk(rule=draft.key, template=draft.query, variables=types, is_array=draft.is_array)
    column = draft.column
    return ColumnAsk(
        rule=draft.key,
        table=column["table"],
        column=column["column"],
        key_column=column["key_column"],
        key=draft.column_key,
        key_type=types[draft.column_key],
        aggregation=column.get("aggregation", "exact"),
        sort_column=column.get("sort_column", ""),
        filters=tuple(Filter(**condition) for condition in column.get("filters", [])),
        is_array=draft.is_array,
    )
