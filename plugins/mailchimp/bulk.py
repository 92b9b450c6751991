"""Writing many members of an audience with one call: which of them can go so, and who has to go alone after all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from plugins.mailchimp.app import MailchimpApp
from plugins.mailchimp.calling import Problem
from plugins.mailchimp.changes import Change, hash_email
from plugins.mailchimp.reading import read_everyone

MOST = 500  # members of one call
_WORTH = 10  # fewer than this go alone
_PAGE_WORTH = 10  # new members that make it worth reading one page of those who are there


def write_many(app: MailchimpApp, list_id: str, changes: Mapping[int, Change]) -> dict[int, Mapping[str, Any]]:
    """Write those of the changes for which that is safe; the member of each that was written.

    All others have to be written one by one, which also finds out what is wrong with them. Raises the contract's
    errors; what was written until then may be written again.
    """
    known = {place: change for place, change in changes.items() if change.is_known}
    fresh = {place: change for place, change in changes.items() if change.email and not change.old_email}
    written: dict[int, Mapping[str, Any]] = {}
    for some in _chunks(known):
        written |= _write(app, list_id, some, update_existing=True)
    if len(fresh) >= _WORTH:
        absent = _find_absent(app, list_id, fresh)
        for some in _chunks(absent):
            written |= _write(app, list_id, some, update_existing=False, status=app.new_status)
    return written


def _chunks(changes: Mapping[int, Change]) -> Iterator[dict[int, Change]]:
    places = list(changes)
    if len(places) >= _WORTH:
        for start in range(0, len(places), MOST):
            yield {place: changes[place] for place in places[start : start + MOST]}


def _write(
    app: MailchimpApp, list_id: str, changes: Mapping[int, Change], *, update_existing: bool, status: str = ""
) -> dict[int, Mapping[str, Any]]:
    members = [
        {
            "email_address": change.email,
            "merge_fields": dict(change.merge_fields),
            **({"status": status} if status else {}),
        }
        for change in changes.values()
    ]
    body = {"members": members, "update_existing": update_existing, "sync_tags": False}
    try:
        answer = app.line.call(app.line.lists.batch_list_members, list_id, body, skip_merge_validation="true")
    except Problem as problem:
        if problem.status != 400:
            raise app.explain(problem) from None
        return {}  # one by one shows who is at fault
    found = {
        hash_email(str(member["email_address"])): member
        for kind in ("new_members", "updated_members")
        for member in answer.get(kind) or ()
    }
    places = {place: hash_email(change.email) for place, change in changes.items()}
    return {place: found[member] for place, member in places.items() if member in found}


def _find_absent(app: MailchimpApp, list_id: str, changes: Mapping[int, Change]) -> dict[int, Change]:
    """Those whose address the audience does not hold in any way; none where reading it costs more than it saves."""
    present = read_everyone(app, list_id, fields=("email_address",), pages=len(changes) // _PAGE_WORTH)
    if present is None:
        return {}
    hashes = {hash_email(str(member["email_address"])) for member in present.values()}
    return {place: change for place, change in changes.items() if hash_email(change.email) not in hashes}
