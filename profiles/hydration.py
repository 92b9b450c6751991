"""Hydration: ask every App again for the properties of a batch of people, a handful of statements for all of them.

Runs in no transaction. What comes back are raw answers by person and rule; typing them and deciding whether they win
is done with everything else the batch learned. A source that fails leaves values as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from django.db import connection

from apps_connectors.connections import connect
from core.lib.clock import to_us
from plugins.base import App, RetrievesProperties
from plugins.contracts import Answer, ColumnAsk, PluginError, QueryAsk, Statement
from profiles.person import Person
from profiles.properties import type_value
from profiles.ruleset import Rule, RuleSet

log = logging.getLogger(__name__)

Ask = QueryAsk | ColumnAsk

# A rule that fails for a batch is asked again in halves until only the profiles at fault are left. When the first
# halvings give nothing but errors, the rule itself is at fault and asking on would only burden the source.
_HOPELESS_AFTER = 12


@dataclass(slots=True)
class Fetched:
    """What the Apps answered: raw values by profile and property key, and what went wrong.

    `variables` keeps the values each profile was asked with; if they are others when the batch is written, the answer
    was for someone else. `as_of_us` is the database's clock before the first statement was sent.
    """

    as_of_us: int
    values: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    variables: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    errors: dict[UUID, dict[str, str]] = field(default_factory=dict)  # by profile and key: why there is no answer
    gone: dict[str, str] = field(default_factory=dict)  # rules whose column or table vanished, with the reason
    several: dict[str, int] = field(default_factory=dict)  # rules that met more than one row, how often
    down: dict[int, str] = field(default_factory=dict)  # Apps that could not be reached, with the reason
    statements: list[Statement] = field(default_factory=list)

    def give(self, guid: UUID, key: str, value: Any) -> None:
        """Note one answer."""
        self.values.setdefault(guid, {})[key] = value

    def covers(self, people: Sequence[Person]) -> bool:
        """Whether everyone was asked, and with the values they still have."""
        return all(
            person.guid in self.variables
            and all(person.values.get(key) == value for key, value in self.variables[person.guid].items())
            for person in people
        )

    def fail(self, guid: UUID, key: str, reason: str) -> None:
        """Note that a profile got no answer for a rule."""
        self.errors.setdefault(guid, {})[key] = reason


def database_now_us() -> int:
    """The database's clock, which decides every as-of time of ours."""
    with connection.cursor() as cursor:
        cursor.execute("select clock_timestamp()")
        return to_us(cursor.fetchone()[0])


def fetch(
    people: Sequence[Person],
    ruleset: RuleSet,
    *,
    carried: Mapping[UUID, Mapping[str, Any]],
    as_of_us: int,
    earlier: Fetched | None = None,
) -> Fetched:
    """Ask every rule that is asked, for everyone, in dependency order.

    `carried` holds answers that came along already (the page of an import is the table's own row); those are not
    asked again. `as_of_us` is the database's clock from before the oldest of them was read. `earlier` is what the
    same batch fetched a moment ago: if it still fits everyone, nothing is asked.
    """
    if earlier is not None and earlier.covers(people):
        return earlier
    fetched = Fetched(
        as_of_us=as_of_us,
        values={guid: dict(answers) for guid, answers in carried.items()},
        variables={person.guid: {} for person in people},
    )
    overlay: dict[UUID, dict[str, Any]] = {}
    for layer in ruleset.layers:
        by_app: dict[int, list[Rule]] = {}
        for rule in layer:
            by_app.setdefault(cast("int", rule.app_id), []).append(rule)
        for app_id, rules in by_app.items():
            _fetch_app(app_id, rules, people, ruleset, carried=carried, overlay=overlay, fetched=fetched)
        if len(ruleset.layers) > 1:
            _overlay_layer(layer, people, fetched, overlay)
    return fetched


def _fetch_app(
    app_id: int,
    rules: Sequence[Rule],
    people: Sequence[Person],
    ruleset: RuleSet,
    *,
    carried: Mapping[UUID, Mapping[str, Any]],
    overlay: Mapping[UUID, Mapping[str, Any]],
    fetched: Fetched,
) -> None:
    needed: dict[tuple[str, ...], list[Person]] = {}
    missing_of: dict[tuple[str, ...], tuple[str, ...]] = {}  # the rows of a page all carry the same keys
    for person in people:
        along = tuple(carried.get(person.guid, ()))
        if along not in missing_of:
            missing_of[along] = tuple(rule.key for rule in rules if rule.key not in along)
        if missing_of[along]:
            needed.setdefault(missing_of[along], []).append(person)
    if not needed:
        return
    by_key = {rule.key: rule for rule in rules}
    try:
        with connect(app_id, reading=True) as app:
            for keys, group in needed.items():
                asks = [ruleset.ask(by_key[key]) for key in keys]
                variables = sorted({read for key in keys for read in by_key[key].reads})
                rows = [_variables_of(person, variables, overlay, fetched) for person in group]
                _ask(app, asks, group, rows, fetched)
    except PluginError as error:
        fetched.down[app_id] = error.reason
        for keys, group in needed.items():
            for person in group:
                for key in keys:
                    fetched.fail(person.guid, key, error.reason)


def _variables_of(
    person: Person, keys: Sequence[str], overlay: Mapping[UUID, Mapping[str, Any]], fetched: Fetched
) -> dict[str, Any]:
    fresh = overlay.get(person.guid, {})
    row = {key: fresh[key] if key in fresh else person.values.get(key) for key in keys}
    own = {key: value for key, value in row.items() if key not in fresh}
    fetched.variables[person.guid].update(own)
    return row


def _ask(
    app: App, asks: Sequence[Ask], people: Sequence[Person], rows: Sequence[Mapping[str, Any]], fetched: Fetched
) -> None:
    retrieval = cast("RetrievesProperties", app).retrieve(asks, rows)
    fetched.statements.extend(retrieval.statements)
    by_rule = {ask.rule: ask for ask in asks}
    for answer in retrieval.answers:
        if answer.error:
            _isolate(app, by_rule[answer.rule], answer, people, rows, fetched)
        else:
            _note(answer, people, fetched)


def _note(answer: Answer, people: Sequence[Person], fetched: Fetched) -> None:
    for person, value in zip(people, answer.values, strict=True):
        fetched.give(person.guid, answer.rule, value)
    if answer.several:
        fetched.several[answer.rule] = fetched.several.get(answer.rule, 0) + len(answer.several)


def _isolate(
    app: App,
    ask: Ask,
    failed: Answer,
    people: Sequence[Person],
    rows: Sequence[Mapping[str, Any]],
    fetched: Fetched,
) -> None:
    """Split until only the profiles at fault are left without an answer."""
    log.warning("rule %s failed for %s profiles: %s", ask.rule, len(people), failed.error)
    if failed.gone:
        fetched.gone[ask.rule] = failed.error
        for person in people:
            fetched.fail(person.guid, ask.rule, failed.error)
        return
    waiting = [(0, len(people), failed.error)]
    failures = successes = 0
    while waiting:
        start, end, reason = waiting.pop()
        if end - start == 1 or (failures >= _HOPELESS_AFTER and not successes):
            for person in people[start:end]:
                fetched.fail(person.guid, ask.rule, reason)
            continue
        middle = (start + end) // 2
        for low, high in ((start, middle), (middle, end)):
            retrieval = cast("RetrievesProperties", app).retrieve([ask], rows[low:high])
            fetched.statements.extend(retrieval.statements)
            answer = retrieval.answers[0]
            if answer.error:
                failures += 1
                waiting.append((low, high, answer.error))
            else:
                successes += 1
                _note(answer, people[low:high], fetched)


def _overlay_layer(
    layer: Sequence[Rule], people: Sequence[Person], fetched: Fetched, overlay: dict[UUID, dict[str, Any]]
) -> None:
    """Let the next layer read what this one answered."""
    for person in people:
        answers = fetched.values.get(person.guid, {})
        fresh = overlay.setdefault(person.guid, {})
        for rule in layer:
            if rule.key in answers:
                fresh[rule.key] = type_value(rule, answers[rule.key])[0]
