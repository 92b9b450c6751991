"""Conditions of a subscription: on what an event carries, and on the person it is about. Nothing here writes.

`where` are conditions on the payload, all of which have to hold, in the form in which a group's rules about events have
them. `people` are rules about the person, in the form of a group's rules; None asks nothing. Both are asked when the
body is made, once the person is filled in, in the statement that makes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext, gettext_noop

from core.accounts import project
from core.lib.errors import InvalidInput, Refused
from groups import groups_store
from groups.compile import Compiled, Scope, compile_conditions, compile_tree
from groups.reading import read_conditions
from groups.sentence import say_leaf, say_tree
from groups.tree import EventLeaf, GroupLeaf, Leaf, Node
from profiles.models import ProfilePropertyRule
from schedules.outbound.models import Subscription

NO_EVENTS = gettext_noop("What someone did cannot be asked here: make a group of it, and ask for that group.")


@dataclass(frozen=True, slots=True)
class Conditions:
    """A boolean over an event `t` and its profile `p`, never null, as SQL with the names of its parameters."""

    sql: str = "true"
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Use:
    """What one leaf of the rules about the person reads: a property or a group."""

    leaf: str
    rule_id: int | None = None
    group_id: int | None = None


def compile_for(where: Sequence[Mapping[str, Any]], people: Mapping[str, Any] | None) -> Conditions:
    """The conditions as they are asked now. Raises InvalidInput when they make no sense any more."""
    if not where and not people:
        return Conditions()
    settings = project.current()
    payload = compile_conditions(read_conditions(list(where), region=settings.phone_region), settings.time_zone)
    asked = [_name(payload, "payload", f"exists (select from (select t.payload) e where {payload.text})")]
    if people:
        person = compile_tree(read_people(people), settings.time_zone, scope=Scope.EACH)
        asked.append(_name(person, "person", person.text))
    parameters = {name: value for _, named in asked for name, value in named.items()}
    return Conditions(f"({' and '.join(text for text, _ in asked)})", parameters)


def read_people(people: Mapping[str, Any]) -> Node:
    """The tree of rules about the person. Raises InvalidInput."""
    node = groups_store.check_rules(people)
    for leaf in node.leaves():
        if isinstance(leaf, EventLeaf):
            message = gettext(NO_EVENTS)
            raise InvalidInput(message, {f"rules.{leaf.path}.event": message})
    return node


def find_problems(where: Sequence[Mapping[str, Any]], people: Mapping[str, Any] | None) -> dict[str, str]:
    """What is wrong, by place: "where.0.value", "people.0.1.operator"."""
    problems: dict[str, str] = {}
    try:
        read_conditions(list(where), region=project.current().phone_region)
    except InvalidInput as error:
        problems |= {key.removeprefix("rules."): message for key, message in error.fields.items()}
    try:
        if people is not None:
            read_people(people)
    except InvalidInput as error:
        problems |= {f"people{key.removeprefix('rules')}": message for key, message in error.fields.items()}
    return problems


def uses_of(people: Mapping[str, Any] | None) -> list[Use]:
    """The properties and groups that rules without errors read."""
    leaves = read_people(people).leaves() if people else ()
    return [
        Use(leaf.path, rule_id=leaf.rule_id) if isinstance(leaf, Leaf) else Use(leaf.path, group_id=leaf.group_id)
        for leaf in leaves
        if isinstance(leaf, GroupLeaf) or (isinstance(leaf, Leaf) and leaf.rule_id is not None)
    ]


def say(where: Sequence[Mapping[str, Any]], people: Mapping[str, Any] | None) -> list[str]:
    """Each condition in words. Raises InvalidInput when they make no sense any more."""
    payload = read_conditions(list(where), region=project.current().phone_region)
    said = [gettext("Its %(condition)s.") % {"condition": say_leaf(leaf)} for leaf in payload]
    if people:
        whom = say_tree(read_people(people))
        said.append(gettext("It is about %(whom)s") % {"whom": f"{whom[0].lower()}{whom[1:]}"})
    return said


def refuse_new_type(rule: ProfilePropertyRule) -> None:
    """A property may change its type only where every subscription can still ask what it asks; raises Refused."""
    for subscription in Subscription.objects.filter(rule_uses__rule=rule).distinct().order_by("name"):
        try:
            uses_of(subscription.people)
        except InvalidInput as error:
            message = gettext("The subscription %(subscription)s could not ask any more what it asks. %(message)s") % {
                "subscription": subscription,
                "message": error.message,
            }
            raise Refused(message) from error


def _name(compiled: Compiled, prefix: str, text: str) -> tuple[str, dict[str, Any]]:
    """The text with a name for each of its parameters, and their values now."""
    values = compiled.bind(timezone.now())
    named = {f"{prefix}_{place}": value for place, value in enumerate(values)}
    for name in named:
        text = text.replace("%s", f"%({name})s", 1)
    return text, named
