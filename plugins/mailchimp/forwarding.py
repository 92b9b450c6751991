"""Forwarding events to the members' activity at Mailchimp.

An event is Mailchimp's `name` and `properties`, texts by name:

- The name is the event's type: at most 30 characters, so a longer one is cut; a single character gets `event_` before
  it. Where it was changed the whole type goes along as the property `event_type`.
- Each key of the body is a property. Texts stay as they are; everything else, lists and objects among it, is JSON
  text. So `profile` is one property, the JSON of what was chosen of the profile:
  `{"user_id": 3, "first_name": "Evan", "email": "evan@grouparoo.com"}`.

The member is found by the profile's email address. For an address that is no member yet the event waits: the export
makes members, an event never does. Mailchimp cannot tell a repeated event, so after a crash one may be there twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any, ClassVar

from plugins.base import ForwardsEvents
from plugins.contracts import OutboundItem, Outcome, OutcomeKind, Reject, Retry
from plugins.lanes import make_lanes, outcome_of
from plugins.mailchimp.app import MailchimpApp
from plugins.mailchimp.calling import Problem
from plugins.mailchimp.changes import hash_email
from plugins.mailchimp.lanes import Brake, run_lanes

_LONGEST_NAME = 30
_SHORTEST_NAME = 2


class MailchimpForwards(MailchimpApp, ForwardsEvents):
    """The part of the plugin that takes outbound events."""

    repeatable: ClassVar[bool] = False
    event_batch_size: ClassVar[int] = 100

    def forward(self, batch: Sequence[OutboundItem]) -> Sequence[Outcome]:
        outcomes: dict[int, Outcome] = {}
        emails: dict[int, str] = {}
        for place, item in enumerate(batch):
            try:
                emails[place] = self._find_email(item)
            except Reject as error:
                outcomes[place] = outcome_of(error)
        lanes = make_lanes([(place, [hash_email(email)]) for place, email in emails.items()])
        seconds: dict[int, float] = {}

        def call(place: int) -> Outcome:
            began = time.monotonic()
            try:
                return self._forward(batch[place], emails[place])
            finally:
                seconds[place] = time.monotonic() - began

        outcomes |= run_lanes(lanes, call, Brake())
        if emails:
            self.line.rest()
        for place, taken in seconds.items():
            request = self._show_request(batch[place], emails[place])
            outcomes[place] = replace(outcomes[place], request=request, seconds=taken)
        return [outcomes[place] for place in range(len(batch))]

    def _forward(self, item: OutboundItem, email: str) -> Outcome:
        list_id = self.choose_list(item.options)
        try:
            self.line.call(self.line.lists.create_list_member_event, list_id, hash_email(email), write_event(item))
        except Problem as problem:
            if problem.status != 404:
                raise
        else:
            return Outcome(OutcomeKind.ACCEPTED, reply="204 No Content")
        self.ask(self.line.lists.get_list, list_id, fields=["id"])  # says so when the audience itself is gone
        raise Retry("This person is no member of the audience yet: the event waits until an export has added them.")

    def _show_request(self, item: OutboundItem, email: str) -> str:
        """A call for the log; its properties are the body that the product keeps."""
        event = {key: value for key, value in write_event(item).items() if key != "properties"}
        list_id = item.options.get("list_id") or self.options.get("list_id")
        return f"POST /3.0/lists/{list_id}/members/{hash_email(email)}/events\n{json.dumps(event, ensure_ascii=False)}"

    def _find_email(self, item: OutboundItem) -> str:
        key = str(self.options.get("email_property") or "email")
        profile = item.body.get("profile")
        found = item.identities.get(key) or (profile.get(key) if isinstance(profile, Mapping) else None)
        if not isinstance(found, str) or not found.strip():
            raise Reject(f"The profile has no {key}, by which Mailchimp knows a member.")
        return found


def write_event(item: OutboundItem) -> dict[str, Any]:
    """An event as Mailchimp takes it."""
    name = item.type.strip()
    if len(name) < _SHORTEST_NAME:
        name = f"event_{name or 'unnamed'}"
    name = name[:_LONGEST_NAME].rstrip()
    properties = {key: _text(value) for key, value in item.body.items()}
    if name != item.type:
        properties.setdefault("event_type", item.type)
    event: dict[str, Any] = {
        "name": name,
        "properties": properties,
        "occurred_at": item.occurred_at.astimezone(UTC).isoformat(timespec="seconds"),
    }
    return {**event, "is_syncing": True} if item.is_backfill else event


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
