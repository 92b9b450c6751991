"""One calculated group for each value of a property."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext

from core.accounts.actors import Actor
from core.lib.errors import InvalidInput
from groups import groups_store
from groups.models import Group
from profiles.models import ProfilePropertyRule, RuleState

MOST = 50
VALUE = "{value}"


def find_property(key: str) -> ProfilePropertyRule:
    """A property in use; raises InvalidInput."""
    rule = ProfilePropertyRule.objects.filter(key=key, state=RuleState.READY).first()
    if rule is None:
        raise InvalidInput(
            gettext("There is no property %(key)s.") % {"key": key},
            {"property": gettext("There is no property %(key)s.") % {"key": key}},
        )
    return rule


def make_groups(rule: ProfilePropertyRule, values: Sequence[str], *, name: str, actor: Actor) -> list[Group]:
    """Make them all, or none; `name` holds {value}. Raises InvalidInput."""
    chosen = list(dict.fromkeys(values))
    if not chosen or len(chosen) > MOST:
        raise InvalidInput(
            gettext("Choose 1 to %(most)s values.") % {"most": MOST},
            {"values": gettext("Choose 1 to %(most)s values.") % {"most": MOST}},
        )
    if VALUE not in name:
        message = gettext("Write %(value)s where the value belongs, such as %(rule)s: %(value)s.") % {
            "value": VALUE,
            "rule": rule.label or rule.key,
        }
        raise InvalidInput(message, {"name": message})
    return groups_store.create_groups(
        [(name.replace(VALUE, value), {"match": "all", "rules": [_leaf(rule, value)]}) for value in chosen],
        actor=actor,
    )


def _leaf(rule: ProfilePropertyRule, value: str) -> dict[str, Any]:
    if rule.type == "boolean" and not rule.is_array:
        return {"property": rule.key, "operator": "is_true" if value.lower() == "true" else "is_false"}
    if rule.type == "date" and not rule.is_array:
        return {"property": rule.key, "operator": "between", "value": [value, value]}
    return {"property": rule.key, "operator": "includes" if rule.is_array else "equals", "value": value}
