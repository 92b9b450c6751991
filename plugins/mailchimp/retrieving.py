"""Values of members for the rules that name a column of an audience.

A member is found by the address alone, so a rule has at most one row: its value is taken as it is, or counted. Asking
for members one by one is dear, so all of the audience is read where that takes fewer calls.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from plugins.base import RetrievesProperties
from plugins.contracts import (
    ACCEPTED,
    Answer,
    ColumnAsk,
    Halt,
    Outcome,
    OutcomeKind,
    QueryAsk,
    Reject,
    Retrieval,
    Retry,
    Statement,
)
from plugins.lanes import NO_TIME, make_lanes
from plugins.mailchimp.app import MailchimpApp
from plugins.mailchimp.calling import AudienceGone, check_list_id
from plugins.mailchimp.changes import KEY_FIELD, hash_email
from plugins.mailchimp.lanes import Brake, run_lanes
from plugins.mailchimp.members import MEMBER_FIELDS, columns_of, row_of
from plugins.mailchimp.reading import read_everyone, with_all_tags

_PAGE_WORTH = 50  # members whom asking for takes about as long as reading one page of all
_SECONDS = 60.0  # for the members of one batch

_NO_QUERIES = "Mailchimp takes no queries: take the property from a column of an audience."
_Row = Mapping[str, Any]
Profile = Mapping[str, Any]


class MailchimpRetrieves(MailchimpApp, RetrievesProperties):
    """The part of the plugin that answers property rules."""

    def check_query(self, template: str, variables: Mapping[str, str]) -> None:
        raise Reject(_NO_QUERIES)

    def retrieve(self, asks: Sequence[QueryAsk | ColumnAsk], profiles: Sequence[Profile]) -> Retrieval:
        answers: dict[str, Answer] = {}
        by_audience: dict[str, list[ColumnAsk]] = {}
        for ask in asks:
            if reason := _why_not(ask):
                answers[ask.rule] = Answer(ask.rule, error=reason)
            elif isinstance(ask, ColumnAsk) and profiles:
                by_audience.setdefault(ask.table, []).append(ask)
        statements: list[Statement] = []
        for table, wanted in by_audience.items():
            found, statement = self._answer(table, wanted, profiles)
            answers |= {answer.rule: answer for answer in found}
            statements.append(statement)
        self.line.rest()
        return Retrieval([answers.get(ask.rule) or Answer(ask.rule) for ask in asks], statements)

    def _answer(
        self, table: str, asks: Sequence[ColumnAsk], profiles: Sequence[Profile]
    ) -> tuple[list[Answer], Statement]:
        """The answers from one audience, and how it was asked."""
        began = time.monotonic()
        try:
            merge_fields = self.merge_fields(check_list_id(table))
        except AudienceGone as error:
            gone = [Answer(ask.rule, error=error.reason, gone=True) for ask in asks]
            return gone, Statement(f"GET /lists/{table}/merge-fields", time.monotonic() - began, 0)
        columns = [column.name for column in columns_of(merge_fields)]
        known = [ask for ask in asks if ask.column in columns]
        hashes = {_hash(profile.get(key)) for key in {ask.key for ask in known} for profile in profiles} - {""}
        members, how = self._find(table, hashes, with_tags=any(ask.column == "tags" for ask in known))
        rows = {hash_: row_of(member, merge_fields) for hash_, member in members.items()}
        answers = [
            Answer(ask.rule, [_value(ask, _hash(profile.get(ask.key)), rows) for profile in profiles])
            if ask in known
            else Answer(ask.rule, error=_no_column(ask.column, columns), gone=True)
            for ask in asks
        ]
        return answers, Statement(how, time.monotonic() - began, len(rows))

    # ------------------------------------------------------------ members

    def _find(self, list_id: str, hashes: Collection[str], *, with_tags: bool) -> tuple[Mapping[str, _Row], str]:
        """Those of the members that there are, by hash, and how they were asked for."""
        everyone = read_everyone(self, list_id, fields=MEMBER_FIELDS, pages=len(hashes) // _PAGE_WORTH)
        found: Mapping[str, _Row]
        if everyone is not None:
            found = {hash_: everyone[hash_] for hash_ in hashes if hash_ in everyone}
            how = f"GET /lists/{list_id}/members, page by page"
        else:
            found = self._find_each(list_id, list(hashes))
            how = f"GET /lists/{list_id}/members/…, one by one"
        if with_tags:
            found = {hash_: with_all_tags(self, list_id, member) for hash_, member in found.items()}
        return found, how

    def _find_each(self, list_id: str, hashes: Sequence[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def find(place: int) -> Outcome:
            member = self.find_member(list_id, hashes[place])
            if member is not None:
                found[hashes[place]] = member
            return ACCEPTED

        lanes = make_lanes([(place, [hash_]) for place, hash_ in enumerate(hashes)])
        for outcome in run_lanes(lanes, find, Brake(_SECONDS)).values():
            if outcome is NO_TIME:
                raise Retry("Mailchimp answers too slowly to tell of so many people: they are asked for again later.")
            if outcome.kind is OutcomeKind.RETRY:
                raise Retry(outcome.reason, after=outcome.after)
            if outcome.kind is not OutcomeKind.ACCEPTED:
                raise Halt(outcome.reason)
        return found


def _why_not(ask: QueryAsk | ColumnAsk) -> str:
    """Why Mailchimp cannot be asked this; empty when it can."""
    if isinstance(ask, QueryAsk):
        return _NO_QUERIES
    if ask.key_column != KEY_FIELD:
        return f"Mailchimp knows a member by the address: match the property with the column {KEY_FIELD}."
    if ask.aggregation not in ("exact", "count"):
        return "There is one member for an address at most, so there is nothing to add up: take the value itself."
    if ask.filters:
        return "Mailchimp takes no conditions: leave them out, and let a group choose by the value."
    return ""


def _no_column(column: str, columns: Sequence[str]) -> str:
    return f"The audience has no column {column}: it has {', '.join(columns)}."


def _hash(address: Any) -> str:
    return hash_email(address) if isinstance(address, str) and address.strip() else ""


def _value(ask: ColumnAsk, hash_: str, rows: Mapping[str, _Row]) -> Any:
    row = rows.get(hash_)
    if ask.aggregation == "count":
        return int(row is not None) if hash_ else None
    value = row[ask.column] if row else None
    if ask.is_array:
        return value if isinstance(value, list) or not hash_ else [] if value is None else [value]
    return (", ".join(value) or None) if isinstance(value, list) else value
