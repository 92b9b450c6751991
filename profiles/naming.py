"""Whom a payload names: values of unique properties, the anonymous id, and who else it says the same person was."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from core.accounts import project
from profiles.identity import Identity, identity_of
from profiles.models import ANONYMOUS
from profiles.properties import type_payload, type_value
from profiles.ruleset import Rule, RuleSet
from profiles.types import compare_key

DEVICE = "_anonymous_id"  # the key of a payload under which any event may carry an anonymous id
PREVIOUS = "_previous_id"  # the key under which an event says who else the same person was


def identities_in(payload: Mapping[str, Any], rules: RuleSet) -> set[Identity]:
    """Everyone whom a payload names, as every door and the pipeline understand it."""
    settings = project.current()
    blocked = settings.blocked_values
    facts = type_payload(payload, {rule.key: rule for rule in rules.unique}, blocked=blocked)
    device = device_in(payload, DEVICE, blocked)
    named = {fact.identity for fact in facts if fact.identity is not None}
    named.update(absorbed_in(payload, rules.by_key.get(settings.user_id_key), blocked))
    return named if device is None else {*named, device}


def device_in(payload: Mapping[str, Any], key: str, blocked: Collection[str]) -> Identity | None:
    """The anonymous id that a payload carries; one too long to be an id is none."""
    value = payload.get(key)
    if not isinstance(value, str) or not value.strip() or value.strip().lower() in blocked:
        return None
    return ANONYMOUS, compare_key("string", value.strip())


def absorbed_in(payload: Mapping[str, Any], user_id: Rule | None, blocked: Collection[str]) -> list[Identity]:
    """Who the sender says is the same person: a former id, which may be an anonymous one or a user's."""
    device = device_in(payload, PREVIOUS, blocked)
    if device is None:
        return []
    value = type_value(user_id, payload[PREVIOUS])[0] if user_id is not None and user_id.is_unique else None
    return [device] if value is None or user_id is None else [device, identity_of(user_id, value)]
