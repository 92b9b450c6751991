"""What an exported profile means for HubSpot's contacts: addresses it touches, what it writes, which lists differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plugins.contracts import Halt, ProfileExport, Reject, Target
from plugins.hubspot.properties import KEY_FIELD, Property, write_value


@dataclass(frozen=True, slots=True)
class Change:
    """One profile's change at HubSpot. Addresses are in small letters, as HubSpot keeps them.

    `email` is the address that has to be there, empty for a removal. `old_email` is the one we have put there and may
    touch: empty when there is none or when it belongs to someone else by now.
    """

    email: str
    old_email: str
    properties: Mapping[str, str]
    wanted: tuple[str, ...]  # lists to be in
    before: tuple[str, ...]  # lists that our last export left the contact in
    ours: tuple[str, ...]  # every list that we may take them out of

    @property
    def emails(self) -> list[str]:
        """The addresses that it touches."""
        return list(dict.fromkeys(email for email in (self.email, self.old_email) if email))


def match_fields(target: Target, properties: Mapping[str, Property]) -> dict[str, Property]:
    """The property behind each field of the target but the key. Raises `Halt` for one that cannot be written."""
    if target.key_field not in target.fields:
        raise Halt("The export has to send the email address: it is how HubSpot knows a contact.")
    fields = [field for field in target.fields if field not in (target.key_field, KEY_FIELD)]
    missing = [field for field in fields if field not in properties]
    if missing:
        raise Halt(
            f"HubSpot's contacts have no property {', '.join(missing)}: make it at HubSpot, or take it out of the"
            " export."
        )
    fixed = [field for field in fields if properties[field].is_read_only]
    if fixed:
        raise Halt(f"HubSpot lets nobody write the property {', '.join(fixed)}: take it out of the export.")
    return {field: properties[field] for field in fields}


def read_change(item: ProfileExport, target: Target, fields: Mapping[str, Property]) -> Change:
    """The change that an item asks for. Raises `Reject` for values that HubSpot cannot take."""
    old = _email(item.old, target) if item.old is not None and item.release_old_key else ""
    new = _email(item.new, target)
    if item.new is not None and not new:
        raise Reject("There is no email address, by which HubSpot knows a contact.")
    payload = item.new or {}
    return Change(
        email=new,
        old_email=old,
        properties={each.name: write_value(each, payload.get(name)) for name, each in fields.items()} if new else {},
        wanted=item.new_groups if new else (),
        before=item.old_groups if old else (),
        ours=tuple(dict.fromkeys((*target.groups, *item.old_groups))),
    )


def in_rounds(changes: Mapping[int, Change]) -> Iterator[dict[int, Change]]:
    """The changes in their order, in parts in which no two touch the same address. Nearly always one."""
    some: dict[int, Change] = {}
    seen: set[str] = set()
    for place, change in changes.items():
        if seen.intersection(change.emails):
            yield some
            some, seen = {}, set()
        some[place] = change
        seen.update(change.emails)
    if some:
        yield some


def differing_lists(change: Change, *, is_new: bool, is_ours: bool) -> tuple[list[str], list[str]]:
    """The lists to add a contact to and to take them out of. HubSpot knows no difference of case in their names.

    `is_ours` says that our last export left this contact in `before`; otherwise only what is new is in no list.
    """
    wanted = {name.casefold(): name for name in change.wanted}
    before = {name.casefold(): name for name in change.before} if is_ours else {}
    less = before if is_ours else {} if is_new else {name.casefold(): name for name in change.ours}
    return _without(wanted, before), _without(less, wanted)


def _without(names: Mapping[str, str], others: Mapping[str, str]) -> list[str]:
    return [name for folded, name in names.items() if folded not in others]


def _email(payload: Mapping[str, Any] | None, target: Target) -> str:
    return str((payload or {}).get(target.key_field) or "").strip().lower()


def list_fields(properties: Mapping[str, Property]) -> Sequence[Property]:
    """What an export may write beside the key."""
    return [each for each in properties.values() if not each.is_read_only and each.name != KEY_FIELD]
