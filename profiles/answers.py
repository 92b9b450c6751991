"""What the Apps answered, taken into people: typed, judged by own time, unique values only from their owner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from profiles.hydration import Fetched
from profiles.identity import Identity, Owners, identity_of
from profiles.person import Person
from profiles.properties import Fact, type_value
from profiles.resolution import take_value
from profiles.ruleset import Rule, RuleSet


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
    plain = {key: rule for key, rule in asked.items() if not rule.is_unique}
    for person in people:
        answers = fetched.values.get(person.guid, {})
        taken = person.take_first(plain, answers)
        for key, rule in asked.items():
            if key in taken or key not in answers:
                continue
            fact = _fact(rule, answers[key], person, owners)
            take_value(fact, person, owners, as_of=fetched.as_of_us, cause=None, now_us=now_us)
        person.finish_hydration(asked, answered=answers.keys(), hydrated_us=fetched.as_of_us)


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
