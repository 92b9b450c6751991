"""What is the same for every row of a run: which column feeds what, and which rules the rows answer themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from plugins.contracts import Page, RecordSource
from profiles.models import Retrieval
from profiles.ruleset import RuleSet
from schedules.checking import source_of
from schedules.headers import match_columns
from schedules.models import Run
from schedules.rows import RowPlan


def make_plan(run: Run, page: Page, rules: RuleSet) -> RowPlan:
    """The plan for a run's pages while `rules` hold."""
    schedule = run.schedule
    fields = dict(run.options.get("mapping") or schedule.fields.values_list("field", "rule__key"))
    plan = plan_rows(page, rules, app_id=schedule.app_id, options=schedule.options, fields=fields, name=schedule.name)
    return replace(plan, run_id=run.pk, schedule_id=schedule.pk, version=schedule.mapping_version)


def plan_rows(
    page: Page, rules: RuleSet, *, app_id: int, options: Mapping[str, Any], fields: Mapping[str, str], name: str
) -> RowPlan:
    """The plan of a schedule that need not be saved; without columns of its own it goes by their labels."""
    mapping = dict(fields) or (match_columns(page.columns, app_id=app_id) if page.columns else {})
    table = options.get("table", "")
    return RowPlan(
        run_id=0,
        schedule_id=0,
        version=0,
        type=options.get("event_type") or table.rpartition(".")[2] or name,
        mapping=mapping,
        carry=_find_carried(rules, app_id=app_id, source=source_of(options), mapping=mapping),
        by_change=bool(options.get("changed_column")),
        may_create=options.get("may_create", True),
    )


def _find_carried(rules: RuleSet, *, app_id: int, source: RecordSource, mapping: dict[str, str]) -> dict[str, str]:
    """The column rules that a row of this table answers by itself, with their columns: they need not be asked.

    Only where the row's id decides who the row is about: if another identity of the row came first, the person found
    might have another id, and another row's answers.
    """
    key = mapping.get(source.id_column, "")
    deciding = next((rule.key for rule in rules.unique if rule.key in mapping.values()), "")
    if not source.table or not key or key != deciding:
        return {}
    return {
        rule.key: rule.column["column"]
        for rule in rules.rules
        if rule.retrieval == Retrieval.COLUMN
        and rule.is_asked
        and not rule.is_array
        and rule.app_id == app_id
        and rule.column_key == key
        and rule.column["table"] == source.table
        and rule.column["key_column"] == source.id_column
        and rule.column.get("aggregation", "exact") == "exact"
        and not rule.column.get("filters")
    }
