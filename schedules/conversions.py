"""What a property of one type becomes in a destination's field of another. The one table of it.

A pair that is not in the table is refused while a schedule is edited: text may not be a number, a number with a
fraction is no whole number. What is in it is converted in SQL, with the payload, before a plugin gets it. Where a
destination does not know its fields, everything goes as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext

from plugins.contracts import Field
from profiles.models import ProfilePropertyRule
from profiles.types import TYPES

AS_IS = "{}"

_JSON = "json"  # takes any value
_TEXTS = frozenset({"string", "email", "url", "phone_number"})
_SHOWN = "to_jsonb({} #>> '{{}}')"
_AS_NUMBER = "to_jsonb(({} #>> '{{}}')::boolean::integer)"  # 1 or 0

# (property type, field type): SQL of the new JSON value, `{}` being the old one
_CONVERSIONS: Mapping[tuple[str, str], str] = {
    ("integer", "float"): AS_IS,
    ("boolean", "integer"): _AS_NUMBER,
    ("boolean", "float"): _AS_NUMBER,
    ("integer", "string"): _SHOWN,
    ("float", "string"): "to_jsonb(trim_scale(({} #>> '{{}}')::numeric)::text)",  # 3, not 3.0
    ("boolean", "string"): _SHOWN,  # true, false
    ("date", "string"): AS_IS,  # it is ISO 8601 already
    ("email", "string"): AS_IS,
    ("url", "string"): AS_IS,
    ("phone_number", "string"): AS_IS,
}


def find_sql(type_: str, field_type: str, *, is_array: bool = False) -> str | None:
    """The SQL that makes a property's JSON value, `{}`, one of the field; None when that cannot be done for sure."""
    if is_array or field_type in (type_, _JSON):
        return AS_IS
    return _CONVERSIONS.get((type_, field_type))


def find_problem(rule: ProfilePropertyRule, field: Field) -> str:
    """Why a property cannot go to a field, and what to do; empty when it can."""
    if rule.is_array and not field.takes_lists:
        return gettext(
            "“%(field)s” takes one value, and “%(rule)s” holds several: choose another property or field."
        ) % {"field": field.key, "rule": rule}
    if find_sql(rule.type, field.type, is_array=rule.is_array) is not None:
        return ""
    return gettext(
        "“%(field)s” is of the type “%(label_of)s”, and not every value of “%(rule)s” "
        "(%(type_in_words)s) can be one for sure: choose another property or field."
    ) % {
        "field": field.key,
        "label_of": label_of(field.type),
        "rule": rule,
        "type_in_words": rule.type_in_words.lower(),
    }


def name_types(rules: Mapping[str, ProfilePropertyRule], known: Mapping[str, Field]) -> dict[str, str]:
    """The types of those fields, out of `rules` by field, that are not simply those of their properties."""
    types = {name: known[name].type for name in rules if name in known}
    return {name: type_ for name, type_ in types.items() if not _is_alike(rules[name], type_)}


def own_type(type_: str, *, is_array: bool) -> str:
    """The type under which a property goes to a field that has none of its own."""
    return "string" if is_array else type_


def label_of(field_type: str) -> str:
    """A field's type as people call it."""
    return str(TYPES[field_type].label) if field_type in TYPES else field_type


def _is_alike(rule: ProfilePropertyRule, field_type: str) -> bool:
    own = own_type(rule.type, is_array=rule.is_array)
    return field_type == own or {field_type, own} <= _TEXTS
