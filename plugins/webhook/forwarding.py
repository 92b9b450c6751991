"""Events, one HTTP request each.

A request's body is the event's JSON and nothing else. Headers say the rest: `webhook-id` (the same for every attempt,
so a receiver can drop repetitions; also sent as `idempotency-key`), `webhook-timestamp`, `webhook-signature`,
`grouparoo-event` (its type, percent-encoded), and `grouparoo-note`, which is `test` for an event that a person sent to
try it and `backfill` for an old one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from urllib.parse import quote

from core.lib.json import NotStorable, dumps
from plugins.base import ForwardsEvents
from plugins.contracts import Halt, OutboundItem, Outcome, OutcomeKind, Retry
from plugins.webhook.answers import NO_TIME, ask_for_a_pause, not_sent, read_reply
from plugins.webhook.app import MOST_SECONDS, WebhookApp
from plugins.webhook.calling import Line
from plugins.webhook.headers import make_headers


class WebhookForwards(WebhookApp, ForwardsEvents):
    """The forwarding half of the plugin."""

    repeatable = True

    def forward(self, batch: Sequence[OutboundItem]) -> Sequence[Outcome]:
        line = self.connect()
        until = time.monotonic() + MOST_SECONDS
        waiting: dict[str, Outcome] = {}  # profile: why its later events wait
        everyone: Outcome | None = None  # why nothing more is sent
        outcomes: list[Outcome] = []
        for item in batch:
            person = item.profile or item.id
            held = everyone or waiting.get(person)
            if held is None and outcomes and time.monotonic() > until:
                held = everyone = NO_TIME
            if held is not None:
                outcomes.append(held)
                continue
            outcome, concerns_all = self._send(line, item)
            outcomes.append(outcome)
            if concerns_all:
                everyone = not_sent(outcome)
            elif outcome.kind is OutcomeKind.RETRY:
                waiting[person] = not_sent(outcome)
        return outcomes

    def _send(self, line: Line, item: OutboundItem) -> tuple[Outcome, bool]:
        """The outcome of one event, and whether the others would fare the same."""
        try:
            body = dumps(item.body)
        except NotStorable as error:
            return Outcome(OutcomeKind.REJECT, f"The event {error}."), False
        note = "test" if item.is_test else "backfill" if item.is_backfill else ""
        kind = quote(item.type, safe=" /:.,+@")
        try:
            headers = make_headers(line.receiver, item.id, body, event=kind, note=note)
            reply = line.call("POST", body.encode(), headers)
        except Retry as error:
            return Outcome(OutcomeKind.RETRY, self.scrub(error.reason)), True
        except Halt as error:
            return Outcome(OutcomeKind.HALT, self.scrub(error.reason)), True
        outcome = self.scrub_outcome(read_reply(reply, host=line.receiver.host, what="the event"))
        return outcome, outcome.kind is OutcomeKind.HALT or ask_for_a_pause(reply)
