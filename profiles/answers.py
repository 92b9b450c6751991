"""What the Apps answered, taken into people: typed, judged by own time, unique values only from their owner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from profiles.hydration import Fetched
from profiles.identity import Identity, Owners, identity_of
from profiles.person import Person
from profiles.properties import Fact, type_value
from profiles.resolution import take_value
from profiles.ruleset import Rule, RuleSet
from profiles.type_columns import type_column

_NOTHING: frozenset[str] = frozenset()


def owners_of_answers(fetched: Fetched, ruleset: RuleSet, owners: Owners) -> set[Identity]:
    """The identities that answers stand for and that nobody has looked up yet."""
    unique = [rule for rule in ruleset.unique if rule.is_asked]
    if not unique:
        return set()
    found = set()
    for answers in fetched.values.values():
        for rule in unique:
            if answers.get(rule.key) is not None:
                value, _ = type_value(rule, answers[rule.key])
                if value is not None:
                    found.add(identity_of(rule, value))
    return found - owners.looked_up


def learn(people: Sequence[Person], fetched: Fetched, ruleset: RuleSet, owners: Owners, *, now_us: int) -> None:
    """Let everyone take their answers. What gave no answer keeps its value and its own time."""
    asked = {rule.key: rule for layer in ruleset.layers for rule in layer}
    if not asked:
        return
    taken_of = _take_columns(people, fetched, asked)
    rest_of: dict[frozenset[str], list[tuple[str, Rule]]] = {}  # by what was taken already
    for person in people:
        answers = fetched.values.get(person.guid, {})
        taken = taken_of.get(person.guid, _NOTHING)
        if taken not in rest_of:
            rest_of[taken] = [(key, rule) for key, rule in asked.items() if key not in taken]
        for key, rule in rest_of[taken]:
            if key in answers:
                fact = _fact(rule, answers[key], person, owners)
                take_value(fact, person, owners, as_of=fetched.as_of_us, cause=None, now_us=now_us)
        person.finish_hydration(asked, answered=answers.keys(), hydrated_us=fetched.as_of_us)


def _take_columns(people: Sequence[Person], fetched: Fetched, asked: Mapping[str, Rule]) -> dict[UUID, frozenset[str]]:
    """Let those who are new take, column by column, the answers that need no judging: the keys taken.

    Of someone new nothing is known for a rule, unless the event itself said it, so they take what fits as it is; of a
    unique rule, what the event said already. Most answers of a first load are of these kinds. Where something does not
    fit, the long way keeps the text and the reason.
    """
    alike: dict[tuple[tuple[str, ...], ...], list[Person]] = {}  # by the keys of their answers, values and entries
    for person in people:
        if person.is_new and (answers := fetched.values.get(person.guid)):
            alike.setdefault((tuple(answers), tuple(person.values), tuple(person.meta)), []).append(person)
    taken: dict[UUID, frozenset[str]] = {}
    for (answered, values, entries), group in alike.items():
        known = {*values, *entries}
        plain = [key for key in answered if key in asked and key not in known and not asked[key].is_unique]
        said = [key for key in answered if key in asked and key in known and asked[key].is_unique]
        everything = frozenset((*plain, *said))
        taken |= dict.fromkeys((person.guid for person in group), everything)
        rows = [fetched.values[person.guid] for person in group]
        columns = {key: type_column(asked[key], [row[key] for row in rows]) for key in (*plain, *said)}
        for person, row in zip(group, zip(*(columns[key][0] for key in plain), strict=True), strict=bool(plain)):
            person.take_first(plain, row)
        for key in said:
            for person, value in zip(group, columns[key][0], strict=True):
                if not person.confirm(key, value, as_of=fetched.as_of_us):
                    taken[person.guid] -= {key}
        for key in plain:
            for place in columns[key][1]:
                taken[group[place].guid] -= {key}
    return taken


def _fact(rule: Rule, raw: Any, person: Person, owners: Owners) -> Fact:
    value, rejected = type_value(rule, raw)
    if not rule.is_unique or value is None:
        return Fact(rule, value, rejected)
    identity = identity_of(rule, value)
    if identity in owners.erased:
        return Fact(rule, None, ["", "belongs to someone who was erased on request"])
    owner = owners.owner_of(identity)
    if owner is not None and owner is not person:
        return Fact(rule, None, [str(value), f"belongs to another profile, {owner.guid}"])
    return Fact(rule, value, None, identity)
