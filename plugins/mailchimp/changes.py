"""What an exported profile means for the members of an audience: whom it touches, what it writes, which tags differ."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plugins.contracts import Halt, ProfileExport, Reject, Target
from plugins.mailchimp.merge_fields import MergeField, write_value

KEY_FIELD = "email_address"


@dataclass(frozen=True, slots=True)
class Change:
    """One profile's change at Mailchimp.

    `email` is the address that has to be there, empty for a removal. `old_email` is the one we have put there and may
    touch: empty when there is none or when it belongs to someone else by now.
    """

    email: str
    old_email: str
    merge_fields: Mapping[str, Any]
    wanted: tuple[str, ...]  # tags to have
    before: tuple[str, ...]  # tags that our last export left there
    ours: tuple[str, ...]  # every tag that we may take away

    @property
    def is_move(self) -> bool:
        """Whether the member gets another address. Mailchimp knows no difference of case."""
        return bool(self.email and self.old_email) and hash_email(self.email) != hash_email(self.old_email)

    @property
    def is_known(self) -> bool:
        """Whether our last export left the member there under the same address."""
        return bool(self.email and self.old_email) and not self.is_move

    @property
    def members(self) -> list[str]:
        """The hashes of the members that it touches."""
        return list(dict.fromkeys(hash_email(email) for email in (self.email, self.old_email) if email))


def hash_email(email: str) -> str:
    """By what Mailchimp knows a member: the MD5 of the address in small letters."""
    return hashlib.md5(email.strip().lower().encode(), usedforsecurity=False).hexdigest()


def match_fields(target: Target, merge_fields: Sequence[MergeField]) -> dict[str, MergeField]:
    """The merge field behind each field of the target but the key. Raises `Halt` for one that the audience lacks."""
    if target.key_field not in target.fields:
        raise Halt("The export has to send the email address: it is how Mailchimp knows a member.")
    known = {field.tag.upper(): field for field in merge_fields}
    fields = [field for field in target.fields if field not in (target.key_field, KEY_FIELD)]
    missing = [field for field in fields if field.upper() not in known]
    if missing:
        raise Halt(
            f"The audience has no merge field {', '.join(missing)}: make it at Mailchimp, or take it out of the export."
        )
    return {field: known[field.upper()] for field in fields}


def read_change(item: ProfileExport, target: Target, fields: Mapping[str, MergeField]) -> Change:
    """The change that an item asks for. Raises `Reject` for values that Mailchimp cannot take."""
    old = _email(item.old, target) if item.old is not None and item.release_old_key else ""
    new = ""
    if item.new is not None:
        new = _email(item.new, target)
        if not new:
            raise Reject("There is no email address, by which Mailchimp knows a member.")
    same = bool(new and old)
    payload = item.new or {}
    return Change(
        email=new,
        old_email=old,
        merge_fields={field.tag: write_value(field, payload.get(name)) for name, field in fields.items()}
        if item.new is not None
        else {},
        wanted=item.new_groups if item.new is not None else (),
        before=item.old_groups if same or not new else (),
        ours=tuple(dict.fromkeys((*target.groups, *item.old_groups))),
    )


def differing_tags(change: Change, held: Sequence[str] | None) -> list[dict[str, str]]:
    """The tags to send: what is missing and what is too much, compared without regard to case.

    `held` is what the member has; None when that is not known, then our last export counts.
    """
    wanted = {name.casefold(): name for name in change.wanted}
    ours = {name.casefold(): name for name in change.ours}
    if held is not None:
        there = {name.casefold() for name in held}
        less = [name for folded, name in ours.items() if folded in there and folded not in wanted]
    elif change.old_email:
        there = {name.casefold() for name in change.before}
        less = [name for name in change.before if name.casefold() not in wanted]
    else:
        there = set()
        less = [name for folded, name in ours.items() if folded not in wanted]
    more = [name for folded, name in wanted.items() if folded not in there]
    return [{"name": name, "status": "active"} for name in more] + _inactive(less)


def cleared_tags(change: Change) -> list[dict[str, str]]:
    """The tags that our last export left at the old address, as to be taken away."""
    return _inactive(change.before)


def _inactive(names: Sequence[str]) -> list[dict[str, str]]:
    return [{"name": name, "status": "inactive"} for name in names]


def _email(payload: Mapping[str, Any] | None, target: Target) -> str:
    return str((payload or {}).get(target.key_field) or "").strip()
