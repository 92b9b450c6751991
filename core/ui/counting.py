"""How many rows: exactly where that is cheap, the planner's estimate where it is not. For pages, which must stay quick.

Two statements answer any number of questions: one asks the planner what each count would cost, the next counts all
that are cheap enough.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from core.ui.wording import rounded

MOST_COST = 20_000.0  # in the planner's units, for all questions together: well below 100 ms


@dataclass(frozen=True, slots=True)
class Question:
    """Rows to count: `rows` is what follows FROM; `parts` adds further aggregates over the same rows, by name."""

    rows: str
    params: Sequence[Any] = ()
    parts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Count:
    """The answer. When it is not exact it is the planner's estimate, and `parts` is empty."""

    all: int
    exact: bool = True
    parts: Mapping[str, Any] = field(default_factory=dict)


def count(questions: Mapping[str, Question]) -> dict[str, Count]:
    """An answer for every question, with two statements at most; the cheapest are counted first."""
    if not questions:
        return {}
    estimates = _estimate(questions)
    spent, cheap = 0.0, {}
    for name in sorted(questions, key=lambda name: estimates[name][1]):
        spent += estimates[name][1]
        if spent <= MOST_COST:
            cheap[name] = questions[name]
    exact = _count_exactly(cheap)
    return {
        name: exact[name] if name in exact else Count(all=rounded(estimates[name][0]), exact=False)
        for name in questions
    }


def estimate(questions: Mapping[str, Question]) -> dict[str, int]:
    """What the planner takes each number for, with one statement: to decide how to go about something."""
    return {name: rows for name, (rows, _) in _estimate(questions).items()}


def _estimate(questions: Mapping[str, Question]) -> dict[str, tuple[int, float]]:
    """Rows and cost of each question, as the planner sees them."""
    scans = ", ".join(f"array(select 1 from {question.rows})" for question in questions.values())
    with connection.cursor() as cursor:
        cursor.execute(f"explain (format json) select {scans}", _params(questions))
        answer = cursor.fetchone()[0]
    plans = (json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"].get("Plans", [])
    return {name: (plan["Plan Rows"], plan["Total Cost"]) for name, plan in zip(questions, plans, strict=True)}


def _count_exactly(questions: Mapping[str, Question]) -> dict[str, Count]:
    if not questions:
        return {}
    selects = []
    for question in questions.values():
        parts = "".join(f", '{name}', {aggregate}" for name, aggregate in question.parts.items())
        selects.append(f"(select json_build_object('all', count(*){parts}) from {question.rows})")
    with connection.cursor() as cursor:
        cursor.execute(f"select {', '.join(selects)}", _params(questions))
        row = cursor.fetchone()
    answers = {}
    for name, found in zip(questions, row, strict=True):
        values = json.loads(found) if isinstance(found, str) else found
        answers[name] = Count(all=values.pop("all"), parts=values)
    return answers


def _params(questions: Mapping[str, Question]) -> list[Any]:
    return [value for question in questions.values() for value in question.params]
