"""Events, one HTTP request each, several at a time where the App allows it: those of one person one after the other.

A request's body is the event's JSON and nothing else. Headers say the rest: `webhook-id` (the same for every attempt,
so a receiver can drop repetitions; also sent as `idempotency-key`), `webhook-timestamp`, `webhook-signature`,
`grouparoo-event` (its type, percent-encoded), and `grouparoo-note`, which is `test` for an event that a person sent to
try it and `backfill` for an old one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote

from core.lib.json import NotStorable, dumps
from plugins.base import ForwardsEvents
from plugins.contracts import Halt, OutboundItem, Outcome, OutcomeKind, Retry
from plugins.lanes import Brake, make_lanes, outcome_of, run_lanes
from plugins.webhook.answers import ask_for_a_pause, not_sent, read_reply
from plugins.webhook.app import MOST_SECONDS, WebhookApp
from plugins.webhook.headers import make_headers, show_request


class WebhookForwards(WebhookApp, ForwardsEvents):
    """The forwarding half of the plugin."""

    repeatable = True
    event_batch_size = 1000  # a batch grows so far only while the receiver is quick

    def forward(self, batch: Sequence[OutboundItem]) -> Sequence[Outcome]:
        if not batch:
            return []
        self.connect()
        brake = Brake(MOST_SECONDS, most_failures=None)
        first, *lanes = make_lanes([(place, [item.profile or item.id]) for place, item in enumerate(batch)])
        outcomes = {0: self._send(batch[0], brake)}  # alone, so that a receiver that is down is asked once
        if outcomes[0].kind in (OutcomeKind.RETRY, OutcomeKind.HALT):
            outcomes |= dict.fromkeys(first[1:], not_sent(outcomes[0]))
        elif first[1:]:
            lanes.insert(0, first[1:])
        outcomes |= run_lanes(lanes, lambda place: self._send(batch[place], brake), brake, threads=self.calls_at_once)
        return [outcomes[place] for place in range(len(batch))]

    def _send(self, item: OutboundItem, brake: Brake) -> Outcome:
        """The outcome of one event. Tells the brake when the others would fare the same."""
        try:
            body = dumps(item.body)
        except NotStorable as error:
            return Outcome(OutcomeKind.REJECT, f"The event {error}.")
        note = "test" if item.is_test else "backfill" if item.is_backfill else ""
        kind = quote(item.type, safe=" /:.,+@")
        headers = make_headers(self.receiver, item.id, body, event=kind, note=note)
        began = time.monotonic()
        outcome, concerns_all = self._call(body, headers)
        outcome = replace(
            self.scrub_outcome(outcome),
            request=show_request(f"POST {self.options['url']}", headers, secret=self.receiver.headers),
            seconds=time.monotonic() - began,
        )
        if concerns_all:
            brake.stop(not_sent(outcome))
        return outcome

    def _call(self, body: str, headers: Mapping[str, str]) -> tuple[Outcome, bool]:
        """What is answered to one request, and whether others would be answered the same."""
        try:
            with self.spare_line() as line:
                reply = line.call("POST", body.encode(), headers)
        except (Retry, Halt) as error:
            return outcome_of(error), True
        outcome = read_reply(reply, host=self.receiver.host, what="the event")
        return outcome, outcome.kind is OutcomeKind.HALT or ask_for_a_pause(reply)
