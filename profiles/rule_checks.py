"""What a person says of a property rule, and whether it can be used. Writes nothing; `profiles/rules.py` does."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext

from apps_connectors.connections import connect
from apps_connectors.models import App
from core.lib import templates
from core.lib.errors import InvalidInput
from plugins.base import RetrievesProperties
from plugins.contracts import PluginError
from profiles.models import ProfilePropertyRule, Retrieval, RuleState, RuleVariable, ValueTypeName

_KEY = re.compile(r"[a-z][a-z0-9_]*")
AGGREGATIONS = ("exact", "count", "sum", "average", "min", "max", "most_recent", "least_recent")
FILTERS = ("eq", "ne", "gt", "gte", "lt", "lte", "contains", "not_contains", "exists", "not_exists", "in")
_SORTED = ("most_recent", "least_recent")


@dataclass(frozen=True, slots=True)
class NewRule:
    """What a person says of a rule they make. `column` holds table, column, key_column, aggregation, sort_column,
    filters; `column_key` is the key of the unique property that `key_column` matches."""

    key: str
    type: str
    label: str = ""
    is_unique: bool = False
    is_array: bool = False
    identity_rank: int | None = None
    app: App | None = None
    query: str = ""
    column: Mapping[str, Any] = field(default_factory=dict)
    column_key: str = ""
    column_label: str = ""

    @property
    def retrieval(self) -> str:
        """How it gets its value."""
        if self.query:
            return Retrieval.QUERY
        return Retrieval.COLUMN if self.column else Retrieval.EVENT


def check_rule(new: NewRule) -> list[ProfilePropertyRule]:
    """The rules it reads, after everything that can be judged without a lock was judged, also by its App."""
    reads = read_rules(new)
    if new.retrieval != Retrieval.EVENT:
        _try_with_app(new, {rule.key: rule.type for rule in reads})
    return reads


def check_app(new: NewRule) -> None:
    """Raises InvalidInput when its App cannot be asked for properties."""
    _try_with_app(new, {})


def read_rules(new: NewRule) -> list[ProfilePropertyRule]:
    """The rules it reads, after everything that can be judged without asking its App was judged."""
    if not _KEY.fullmatch(new.key) or len(new.key) > 60:
        raise invalid("key", gettext("A key has lower-case letters, digits and underscores, and starts with a letter."))
    if new.type not in ValueTypeName.values:
        raise invalid(
            "type",
            gettext("%(type)s is not a type; choose one of %(values)s.")
            % {"type": new.type, "values": ", ".join(ValueTypeName.values)},
        )
    if new.is_unique and new.is_array:
        raise invalid("is_unique", gettext("A property with several values cannot be unique."))
    if new.retrieval == Retrieval.EVENT:
        return []
    if new.app is None:
        raise invalid("app", gettext("Choose the App that is asked for it."))
    keys = _read_query(new) if new.retrieval == Retrieval.QUERY else _read_column(new)
    if new.key in keys:
        raise invalid("query", gettext("It reads %(new)s, which is the property itself.") % {"new": new.key})
    found = {rule.key: rule for rule in ProfilePropertyRule.objects.filter(key__in=keys, state=RuleState.READY)}
    unknown = [key for key in keys if key not in found]
    if unknown:
        raise invalid(
            "query",
            gettext("There is no property %(unknown)s; make it first or mend the name.")
            % {"unknown": ", ".join(unknown)},
        )
    if new.retrieval == Retrieval.COLUMN and not found[keys[0]].is_unique:
        raise invalid(
            "column_key", gettext("%(keys)s is not unique, so it cannot say whose row it is.") % {"keys": keys[0]}
        )
    return [found[key] for key in keys]


def _read_query(new: NewRule) -> list[str]:
    try:
        keys = templates.variables(new.query)
    except templates.TemplateError as error:
        raise invalid("query", str(error)) from None
    if not keys:
        raise invalid(
            "query", gettext("It reads no property, so it would give everyone the same; use {{profile.KEY}}.")
        )
    return keys


def _read_column(new: NewRule) -> list[str]:
    missing = [name for name in ("table", "column", "key_column") if not new.column.get(name)]
    if missing or not new.column_key:
        what = ", ".join(missing) or gettext("property that the key column matches")
        raise invalid("column", gettext("Say the %(what)s.") % {"what": what})
    aggregation = new.column.get("aggregation", "exact")
    if aggregation not in AGGREGATIONS:
        raise invalid(
            "column",
            gettext("%(aggregation)s is not an aggregation; choose one of %(aggregations)s.")
            % {"aggregation": aggregation, "aggregations": ", ".join(AGGREGATIONS)},
        )
    if aggregation in _SORTED and not new.column.get("sort_column"):
        raise invalid(
            "column",
            gettext("Say which column decides what is %(replace)s.") % {"replace": aggregation.replace("_", " ")},
        )
    for condition in new.column.get("filters", []):
        _check_filter(condition)
    return [new.column_key]


def _check_filter(condition: Mapping[str, Any]) -> None:
    """A condition that compares with nothing would quietly leave every row out."""
    operator, column, value = (condition.get(name) for name in ("operator", "column", "value"))
    if operator not in FILTERS:
        raise invalid(
            "column",
            gettext("%(operator)s is not a filter; choose one of %(filters)s.")
            % {"operator": operator, "filters": ", ".join(FILTERS)},
        )
    if not column:
        raise invalid("column", gettext("Say which column each condition is about."))
    is_list = isinstance(value, list) and bool(value) and not any(isinstance(each, list | dict) for each in value)
    if operator == "in" and not is_list:
        raise invalid("column", gettext("Say which values %(column)s may have, as a list.") % {"column": column})
    if operator not in ("in", "exists", "not_exists") and (value in (None, "") or isinstance(value, list | dict)):
        raise invalid("column", gettext("Say what %(column)s is compared with.") % {"column": column})


def _try_with_app(new: NewRule, variables: Mapping[str, str]) -> None:
    """Let the App judge the query before anyone depends on it."""
    assert new.app is not None  # noqa: S101  the caller looked
    try:
        with connect(new.app.pk) as app:
            if not isinstance(app, RetrievesProperties):
                raise invalid("app", gettext("%(app)s cannot be asked for properties.") % {"app": new.app.name})
            if new.retrieval == Retrieval.QUERY:
                app.check_query(new.query, variables)
    except PluginError as error:
        raise invalid("query" if new.query else "app", error.reason) from None


def refuse_cycle(reads: Sequence[ProfilePropertyRule], *, rule_id: int) -> None:
    """A rule may not read itself by way of others; `reads` is what it is about to read."""
    known: dict[int, set[int]] = {}
    for other, read in RuleVariable.objects.exclude(rule=rule_id).values_list("rule_id", "reads_id"):
        known.setdefault(other, set()).add(read)
    known[rule_id] = {rule.pk for rule in reads}
    path = [rule_id]
    if _finds_way_back(rule_id, rule_id, known, path, set()):
        names = dict(ProfilePropertyRule.objects.filter(pk__in=path).values_list("pk", "key"))
        circle = " → ".join(names[p] for p in path)
        raise invalid(
            "query", gettext("These properties would read each other in a circle: %(circle)s.") % {"circle": circle}
        )


def _finds_way_back(at: int, goal: int, reads: Mapping[int, set[int]], path: list[int], seen: set[int]) -> bool:
    for read in reads.get(at, ()):
        path.append(read)
        if read == goal:
            return True
        if read not in seen:
            seen.add(read)
            if _finds_way_back(read, goal, reads, path, seen):
                return True
        path.pop()
    return False


def invalid(where: str, message: str) -> InvalidInput:
    """The refusal of one part, named as in `NewRule`."""
    return InvalidInput(message, fields={where: message})
