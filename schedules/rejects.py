"""The rows of an uploaded file that did not go through, as a CSV to mend and send again.

The file is read once more and each row is looked at by the rules of now, so nothing has to be kept for each row, and a
million rows go out in a stream. Reads only.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from apps_connectors.connections import connect
from core.accounts import project
from core.ui.csv_lines import make_line
from plugins.base import ImportsRecords
from plugins.contracts import Mark, Page
from plugins.csv.destination import write_cell
from profiles import ruleset
from profiles.properties import type_value
from profiles.ruleset import Rule
from schedules.checking import source_of
from schedules.models import Run
from schedules.row_plans import make_plan

WHERE, WHY = "rejected_at", "rejected_because"
_PAGE = 1000


def can_be_read(run: Run) -> bool:
    """Whether the file of this run is still there."""
    path = run.options.get("path")
    return bool(path) and Path(path).is_file()


def stream_csv(run: Run) -> Iterator[str]:
    """The lines of the CSV: where, why, and the row as it came. Cells that a spreadsheet takes for formulas are quoted.

    `run` comes with its schedule. Raises what the App raises when the file cannot be read.
    """
    is_first = True
    for page, number in _pages(run):
        if is_first:
            yield make_line([WHERE, WHY, *map(write_cell, page.columns)])
            is_first = False
        for row in page.rejected:
            cells = map(write_cell, next(csv.reader([row.text]), []))
            yield make_line([f"line {row.number}", write_cell(row.reason), *cells])
        rules = _rules_of(run, page)
        for index, values in enumerate(page.rows, number + 1):
            reasons = _why(dict(zip(page.columns, values, strict=True)), rules)
            if reasons:
                yield make_line([f"row {index}", write_cell("; ".join(reasons)), *map(write_cell, values)])


def _pages(run: Run) -> Iterator[tuple[Page, int]]:
    """Every page of the file, with how many rows came before it."""
    source, after, number = source_of({}, upload=run.options["path"]), cast("Mark | None", None), 0
    while True:
        with connect(run.schedule.app_id) as app:
            page = cast("ImportsRecords", app).read_page(source, after=after, limit=_PAGE)
        yield page, number
        if not page.more or page.mark == after:
            return
        after, number = page.mark, number + len(page.rows)


def _rules_of(run: Run, page: Page) -> dict[str, Rule]:
    """The rule that each mapped column feeds."""
    rules = ruleset.load()
    mapping = make_plan(run, page, rules).mapping
    return {column: rules.by_key[key] for column, key in mapping.items() if key in rules.by_key}


def _why(row: Mapping[str, Any], rules: Mapping[str, Rule]) -> Sequence[str]:
    """What of a row did not go through."""
    reasons: list[str] = []
    names_someone = False
    blocked = {str(value).lower() for value in project.current().blocked_values}
    for column, rule in rules.items():
        value, rejected = type_value(rule, row.get(column))
        if rejected:
            reasons.append(f"{column}: {rejected[1]}")
        elif rule.is_unique and value is not None and str(value).lower() not in blocked:
            names_someone = True
    return reasons if names_someone else [*reasons, "nothing in it says who it is about"]
