"""The exact row an export would send for one person: computed as the export does, for a schedule that is not saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from groups import pages as group_pages
from plugins.contracts import Field
from profiles import queries
from profiles.models import Profile, ProfilePropertyRule
from profiles.queries import Person
from schedules import payloads
from schedules.conversions import name_types

_CANDIDATES = 20  # people looked at to find one who would be sent


@dataclass(frozen=True, slots=True)
class Preview:
    """What one person would be sent as, or why they would not. `person` None: there is nobody to show."""

    person: Person | None = None
    payload: Mapping[str, Any] | None = None
    group_names: Sequence[str] = ()
    reason: str = ""


def preview(
    fields: Mapping[str, str],
    *,
    key_field: str,
    groups: Mapping[int, str],
    everyone: bool,
    wanted: str,
    rules: Sequence[ProfilePropertyRule],
    known: Sequence[Field] = (),
) -> Preview:
    """The row for the person that `wanted` names, or for one who would be sent when it is empty.

    `known` are the destination's fields. Raises InvalidInput for a property that cannot go to its field.
    """
    if wanted:
        people = queries.search(wanted, rules)[:1]
        if not people:
            return Preview(
                reason=gettext("Nobody has a unique value that is “%(wanted)s” or begins with it.") % {"wanted": wanted}
            )
    else:
        people = _likely(groups, everyone=everyone)
    key = fields.get(key_field, "")
    best = next((each for each in people if each.properties.get(key) not in (None, "")), people[0] if people else None)
    if best is None:
        return Preview(reason=gettext("There is nobody yet whom it would send."))
    person = queries.name_people([best], rules)[0]
    names = _names_of(best, groups)
    if best.properties.get(key) in (None, ""):
        return Preview(
            person,
            reason=gettext("They have no value for the key field “%(key_field)s”, so they are not sent.")
            % {"key_field": key_field},
        )
    if not everyone and not names:
        return Preview(person, reason=gettext("They are in none of the groups, so they are not sent."))
    return Preview(person, _payload_of(best, fields, rules, known), names)


def _payload_of(
    profile: Profile, fields: Mapping[str, str], rules: Sequence[ProfilePropertyRule], known: Sequence[Field]
) -> dict[str, Any]:
    by_key = {rule.key: rule for rule in rules}
    sent = {name: by_key[key] for name, key in fields.items()}
    types = name_types(sent, {field.key: field for field in known})
    payload = payloads.compute_one([payloads.map_field(name, rule, types) for name, rule in sent.items()], profile.pk)
    return {name: payload[name] for name in fields}  # in the order of the form


def _likely(groups: Mapping[int, str], *, everyone: bool) -> list[Profile]:
    if everyone:
        return queries.newest(before=None, limit=_CANDIDATES)
    for group_id in groups:
        members = group_pages.member_ids(group_id, before=None, limit=_CANDIDATES)
        if members:
            return queries.by_ids([profile_id for profile_id, _ in members])
    return []


def _names_of(profile: Profile, groups: Mapping[int, str]) -> list[str]:
    joined = group_pages.groups_of([profile.pk]).get(profile.pk, [])
    return sorted(groups[each.group.pk] for each in joined if each.group.pk in groups)
