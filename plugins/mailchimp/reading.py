"""Reading the members of an audience: one page, or all of them where that is cheap enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plugins.mailchimp.app import MailchimpApp
from plugins.mailchimp.members import MEMBER_FIELDS

PAGE = 1000  # what one page of Mailchimp holds at most
KINDS: Sequence[Mapping[str, str]] = ({}, {"status": "archived"})  # archived members are only told when asked for


@dataclass(frozen=True, slots=True)
class MemberPage:
    """Some members, and how many there are in all."""

    members: Sequence[dict[str, Any]]
    total: int


def read_page(
    app: MailchimpApp,
    list_id: str,
    parameters: Mapping[str, Any],
    *,
    fields: Sequence[str] = MEMBER_FIELDS,
    count: int = PAGE,
) -> MemberPage:
    """One page of an audience's members, with only these fields. Raises `Retry`, or `Halt` when it is gone."""
    read: Callable[..., Any] = app.line.lists.get_list_members_info
    wanted = ["total_items", *(f"members.{field}" for field in fields)]
    answer = app.ask(read, list_id, count=count, fields=wanted, **parameters)
    return MemberPage(answer.get("members") or (), int(answer.get("total_items") or 0))


def read_everyone(
    app: MailchimpApp, list_id: str, *, fields: Sequence[str], pages: int
) -> dict[str, dict[str, Any]] | None:
    """All members by their hash; None when they are on more pages than `pages`, or some may have been missed.

    Pages are found by counting, so a member that goes away meanwhile moves the others: then fewer come than there are.
    """
    found: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        known, read, total = len(found), 0, 1
        while read < total:
            if total - read > pages * PAGE:
                return None
            page = read_page(app, list_id, {**kind, "offset": read}, fields=("id", *fields))
            found |= {str(member["id"]): member for member in page.members}
            pages, read, total = pages - 1, read + PAGE, page.total
        if len(found) - known < total:
            return None
    return found


def with_all_tags(app: MailchimpApp, list_id: str, member: Mapping[str, Any]) -> Mapping[str, Any]:
    """A member with all tags; of one who has more than fifty Mailchimp tells the others only when asked for them."""
    tags = list(member.get("tags") or ())
    if len(tags) >= int(member.get("tags_count") or 0):
        return member
    found: list[Any] = []
    while True:
        answer = app.ask_of_member(
            app.line.lists.get_list_member_tags, list_id, str(member["id"]), count=PAGE, offset=len(found)
        )
        more = list((answer or {}).get("tags") or ())
        found += more
        if len(more) < PAGE:
            return {**member, "tags": found or tags}
