"""Many properties made at once from one table: what its columns probably are, and making those that a person ticks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from apps_connectors.models import App
from apps_connectors.samples import list_tables, sample_table
from core.accounts import project
from core.accounts.actors import Actor
from core.lib.errors import InvalidInput
from core.lib.names import fold_name
from plugins.contracts import Table
from profiles import rules
from profiles.forms import make_key
from profiles.models import ProfilePropertyRule, Retrieval, RuleState
from profiles.rule_checks import NewRule
from profiles.ruleset import parser_of
from profiles.types import Rejected

SAMPLED = 100  # rows that types are guessed from
_SHOWN = 3
_TELLING_TYPES = ("email", "url")  # text that is always one of these is meant to be
_TYPES_OF_IDENTITIES = ("email", "phone_number", "string", "integer")
_WORDS_OF_TRUTH = frozenset({"true", "false", "yes", "no", "t", "f", "y", "n", "on", "off"})
_IDENTIFYING = frozenset({"email", "emailaddress", "username", "userid", "customerid", "phone", "phonenumber"})


@dataclass(frozen=True, slots=True)
class Guess:
    """What a column probably is. `known_as` is the property that reads it already."""

    column: str
    key: str
    label: str
    type: str
    is_unique: bool
    samples: Sequence[str]
    known_as: str = ""


@dataclass(frozen=True, slots=True)
class TableGuess:
    """What a table's columns probably are; `key_column` says whose row it is, `key_property` which property that is.

    Where no property fits, `key_property` is the key of one that could be made.
    """

    table: str
    key_column: str
    key_property: str
    key_is_new: bool
    key_type: str
    columns: Sequence[Guess]


def guess(app: App, table_name: str) -> TableGuess:
    """Look at a table's columns and first rows. Raises as `apps_connectors.samples` does."""
    table = next((each for each in list_tables(app.pk) if each.name == table_name), None)
    sample = sample_table(app.pk, table_name, limit=SAMPLED)  # names the tables there are when this one is not
    if table is None:
        raise InvalidInput(
            gettext("There is no table “%(table_name)s”.") % {"table_name": table_name},
            {"table": gettext("Choose one of the tables.")},
        )
    values = {
        column: [row[place] for row in sample.rows if row[place] not in (None, "")]
        for place, column in enumerate(sample.columns)
    }
    in_use = list(ProfilePropertyRule.objects.exclude(state=RuleState.DELETED))
    key_column, key_property = _find_key(table, in_use)
    types = {column.name: column.type for column in table.columns}
    own = {rule.column["column"]: rule.key for rule in in_use if _reads(rule, app, table_name)}
    taken = {rule.key for rule in in_use}
    guesses = []
    for column in table.columns:
        if column.name == key_column:
            continue
        guessed = _guess(column.name, types[column.name], values.get(column.name, []), taken)
        taken.add(guessed.key)
        guesses.append(guessed if column.name not in own else _known(guessed, own[column.name]))
    unique = {rule.key: rule for rule in in_use if rule.is_unique}
    key_type = unique[key_property].type if key_property in unique else types.get(key_column, "string")
    return TableGuess(table_name, key_column, key_property, key_property not in unique, key_type, guesses)


def make(
    app: App, table: str, *, key_column: str, key_property: str, chosen: Sequence[Mapping[str, Any]], actor: Actor
) -> list[ProfilePropertyRule]:
    """Make a property of each chosen column ({column, key, label, type, is_unique}), all of them or none.

    `key_property` is the unique property that `key_column` matches; where there is none of this key it is made too,
    fed by events and imports. Raises InvalidInput with fields such as "2.key".
    """
    if not chosen:
        raise InvalidInput(gettext("Tick at least one column."), {"columns": gettext("Tick at least one column.")})
    if not key_column or not key_property:
        message = gettext("Say which column tells whose row it is, and which property that is.")
        raise InvalidInput(message, {"key_column": message})
    drafts: list[NewRule] = []
    found = ProfilePropertyRule.objects.filter(key=key_property).exclude(state=RuleState.DELETED).first()
    if found is None:
        columns = {
            column.name: column.type for each in list_tables(app.pk) if each.name == table for column in each.columns
        }
        drafts.append(NewRule(key=key_property, type=columns.get(key_column, "string"), is_unique=True))
    before = len(drafts)
    drafts += [
        NewRule(
            key=str(each.get("key") or ""),
            label=str(each.get("label") or ""),
            type=str(each.get("type") or ""),
            is_unique=bool(each.get("is_unique")),
            app=app,
            column={"table": table, "column": str(each["column"]), "key_column": key_column, "aggregation": "exact"},
            column_key=key_property,
        )
        for each in chosen
    ]
    try:
        return rules.create_rules(drafts, actor=actor)
    except InvalidInput as error:
        raise InvalidInput(
            error.message, {_renumber(name, before): text for name, text in error.fields.items()}
        ) from None


def _renumber(name: str, before: int) -> str:
    """The draft of the key comes first and is none of the chosen columns."""
    number, _, part = name.partition(".")
    if not number.isdecimal():
        return name
    place = int(number) - before
    return "key_property" if place < 0 else f"{place}.{part}"


def _find_key(table: Table, in_use: Sequence[ProfilePropertyRule]) -> tuple[str, str]:
    """The column that says whose row it is, and the property that it matches: by name, else the primary key."""
    unique = sorted((rule for rule in in_use if rule.is_unique), key=lambda rule: rule.identity_rank or 0)
    names = {fold_name(column.name): column.name for column in reversed(table.columns)}
    singular = re.sub(r"s$", "", table.name.rpartition(".")[2].lower())
    for rule in unique:
        if fold_name(rule.key) in names:
            return names[fold_name(rule.key)], rule.key
    primary = table.primary_key[0] if len(table.primary_key) == 1 else ""
    if primary:
        own = make_key(primary if fold_name(primary) != "id" else f"{singular}_id")
        return primary, own
    return "", unique[0].key if unique else ""


def _guess(column: str, type_name: str, values: Sequence[Any], taken: set[str]) -> Guess:
    type_ = _refine(column, type_name, values)
    key = make_key(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column))
    free = next(name for name in (key, *(f"{key}_{number}" for number in range(2, 1000))) if name not in taken)
    distinct = len(values) > 1 and len({str(value).lower() for value in values}) == len(values)
    return Guess(
        column=column,
        key=free,
        label=free.replace("_", " ").capitalize(),
        type=type_,
        is_unique=fold_name(column) in _IDENTIFYING
        and distinct
        and type_ in ("email", "phone_number", "string", "integer"),
        samples=[str(value)[:60] for value in values[:_SHOWN]],
    )


def guess_type(values: Sequence[str]) -> str:
    """The narrowest type that every one of these texts fits; text where none does, or there are none.

    Numbers with a leading zero are codes, and a bare number is no date.
    """
    given = [value.strip() for value in values if value.strip()]
    if not given or any(re.match(r"[+-]?0\d", value) for value in given):
        return "string"
    are_words = all(value.lower() in _WORDS_OF_TRUTH for value in given)
    wanted = ["integer", "float", *(["boolean"] if are_words else []), "email", "url"]
    if all(re.search(r"\d[-/:.]\d|[A-Za-z]", value) for value in given):
        wanted.append("date")
    return next((each for each in wanted if _all_fit(each, given)), "string")


def free_key(name: str) -> str:
    """A key of a column's name that no property has."""
    key = make_key(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name))
    taken = set(ProfilePropertyRule.objects.values_list("key", flat=True))
    return next(each for each in (key, *(f"{key[:55]}_{number}" for number in range(2, 1000))) if each not in taken)


def _known(guessed: Guess, key: str) -> Guess:
    return Guess(guessed.column, guessed.key, guessed.label, guessed.type, False, guessed.samples, known_as=key)


def _refine(column: str, type_name: str, values: Sequence[Any]) -> str:
    """The source's type; text in which every value is an address, or a phone number by its name, is that."""
    if type_name != "string" or not values:
        return type_name
    wanted = [*_TELLING_TYPES, *(["phone_number"] if "phone" in column.lower() else [])]
    return next((each for each in wanted if _all_fit(each, values)), type_name)


def _all_fit(type_name: str, values: Sequence[Any]) -> bool:
    parse = parser_of(type_name, is_array=False, region=project.current().phone_region)
    try:
        return all(parse(value) is not None for value in values)
    except Rejected:
        return False


def _reads(rule: ProfilePropertyRule, app: App, table: str) -> bool:
    return rule.retrieval == Retrieval.COLUMN and rule.app_id == app.pk and rule.column.get("table") == table
