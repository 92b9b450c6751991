"""Which column of a file feeds which property: by its label, without case, spaces and underscores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.utils.translation import gettext

from core.lib.errors import InvalidInput
from core.lib.names import fold_name
from profiles.models import ProfilePropertyRule, Retrieval, RuleState


def match_columns(columns: Sequence[str], *, app_id: int) -> dict[str, str]:
    """The property key for each column that has one.

    A rule's own column label comes first, then its key. A rule that takes its value from the events of another App is
    left alone. Raises `InvalidInput` when two columns would feed one property, or none says who a row is about.
    """
    wanted, unique = _read_names(app_id)
    found = {column: wanted[fold_name(column)] for column in columns if fold_name(column) in wanted}
    fed_by: dict[str, str] = {}
    for column, key in found.items():
        if key in fed_by:
            raise InvalidInput(
                gettext(
                    "The columns “%(fed_by)s” and “%(column)s” would both set %(key)s: rename or remove one of them."
                )
                % {"fed_by": fed_by[key], "column": column, "key": key}
            )
        fed_by[key] = column
    if not unique.intersection(fed_by):
        raise InvalidInput(
            gettext(
                "No column says who a row is about. Give one of these columns: %(wanted)s. "
                "The columns found are: %(found)s."
            )
            % {
                "wanted": ", ".join(sorted(unique)) or gettext("(there is no unique property yet: make one first)"),
                "found": ", ".join(columns) or gettext("none"),
            }
        )
    return found


def guess_columns(columns: Sequence[str], *, app_id: int) -> dict[str, str]:
    """The same where a person looks at it before it counts: of two columns for one property the first is taken."""
    wanted, _ = _read_names(app_id)
    found: dict[str, str] = {}
    for column in columns:
        key = wanted.get(fold_name(column))
        if key and key not in found.values():
            found[column] = key
    return found


def check_mapping(mapping: Mapping[str, str], columns: Sequence[str], *, app_id: int) -> None:
    """Whether a person's choice can be used for a file with these columns; raises `InvalidInput`."""
    wanted, unique = _read_names(app_id)
    keys = list(mapping.values())
    problems = [
        gettext("The file has no column “%(column)s”.") % {"column": column}
        for column in mapping
        if column not in columns
    ]
    problems += [
        gettext("There is no property “%(key)s” that files may set.") % {"key": key}
        for key in keys
        if key not in wanted.values()
    ]
    problems += [
        gettext("Two columns would set %(key)s: choose one of them.") % {"key": key}
        for key in sorted(set(keys))
        if keys.count(key) > 1
    ]
    if not unique.intersection(keys):
        problems.append(gettext("No column says who a row is about: let one of them set a unique property."))
    if problems:
        raise InvalidInput(" ".join(problems), {"mapping": " ".join(problems)})


def settable_keys(app_id: int) -> set[str]:
    """The properties that a file of this App may set."""
    return set(_read_names(app_id)[0].values())


def _read_names(app_id: int) -> tuple[Mapping[str, str], set[str]]:
    rules = ProfilePropertyRule.objects.filter(state=RuleState.READY).order_by("id")
    names: dict[str, str] = {}
    labels: dict[str, str] = {}
    unique: set[str] = set()
    for rule in rules:
        if rule.retrieval == Retrieval.EVENT and rule.app_id not in {None, app_id}:
            continue
        names[fold_name(rule.key)] = rule.key
        if rule.column_label and rule.app_id == app_id:
            labels[fold_name(rule.column_label)] = rule.key
        if rule.is_unique:
            unique.add(rule.key)
    return {**names, **labels}, unique
