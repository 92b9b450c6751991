"""Which column of a file feeds which property: by its label, without case, spaces and underscores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.lib.errors import InvalidInput
from profiles.models import ProfilePropertyRule, Retrieval, RuleState
from schedules.rows import fold_name


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
                f"The columns “{fed_by[key]}” and “{column}” would both set {key}: rename or remove one of them."
            )
        fed_by[key] = column
    if not unique.intersection(fed_by):
        raise InvalidInput(
            "No column says who a row is about. Give one of these columns: "
            f"{', '.join(sorted(unique)) or '(there is no unique property yet: make one first)'}. "
            f"The columns found are: {', '.join(columns) or 'none'}."
        )
    return found


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
