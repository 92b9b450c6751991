"""The webhook plugin: sends events to an address of yours, one HTTP request each, signed as Standard Webhooks says.

A request's body is the event's JSON and nothing else. Headers say the rest: `webhook-id` (the same for every attempt,
so a receiver can drop repetitions; also sent as `idempotency-key`), `webhook-timestamp`, `webhook-signature`,
`grouparoo-event` (its type, percent-encoded), and `grouparoo-note`, which is `test` for an event that a person sent to
try it and `backfill` for an old one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from core.lib.json import NotStorable, dumps
from core.lib.secrets import scrub
from plugins.base import App, ForwardsEvents, TestsConnection
from plugins.contracts import (
    AppSpec,
    Halt,
    Option,
    OptionKind,
    OutboundItem,
    Outcome,
    OutcomeKind,
    Retry,
    TestResult,
)
from plugins.webhook.answers import ask_for_a_pause, find_what_to_mend, name, read_reply
from plugins.webhook.calling import Line
from plugins.webhook.receiver import LONGEST_WAIT, Receiver, read_receiver

__all__ = ["Webhook"]

_MOST_SECONDS = 20.0  # for one batch; what is left then is answered "not yet"
_SOON = 1.0  # seconds after which what was not sent at all may be tried
_NO_TIME = Outcome(OutcomeKind.RETRY, "Not sent yet: the receiver took its time with others.", after=_SOON)


class Webhook(App, TestsConnection, ForwardsEvents):
    """A receiver of signed events."""

    spec = AppSpec(
        key="webhook",
        label="Webhook",
        description="Send events, with what is known of the person, to any address: one signed HTTP request each.",
        icon="webhook",
        categories=("events",),
        options=(
            Option(
                "url",
                "URL",
                required=True,
                placeholder="https://example.com/hooks/grouparoo",
                help="Where events are sent by POST, as JSON.",
            ),
            Option(
                "secret",
                "Signing secret",
                kind=OptionKind.SECRET,
                required=True,
                help=(
                    "The receiver checks our signatures with it (Standard Webhooks). It begins with whsec_; make one"
                    " with: echo whsec_$(openssl rand -base64 32). To change it without a gap, give the new and the old"
                    " one with a space between them."
                ),
            ),
            Option(
                "headers",
                "More headers",
                kind=OptionKind.SECRET,
                help="Sent along, such as Authorization: Bearer abc. Put | between several.",
            ),
            Option(
                "timeout",
                "Seconds to wait for an answer",
                kind=OptionKind.NUMBER,
                default=10,
                help=f"From 1 to {LONGEST_WAIT}. After that the event is sent again later.",
            ),
        ),
        parallel_calls=4,
    )
    repeatable = True

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._line: Line | None = None

    def test(self) -> TestResult:
        """Asks for the address by HEAD, which no receiver takes for an event."""
        try:
            line = self._connect()
            reply = line.call("HEAD", None, line.receiver.headers)
        except (Halt, Retry) as error:
            return TestResult(ok=False, message=self._scrub(error.reason))
        host = line.receiver.host
        if mend := find_what_to_mend(reply, host=host):
            return TestResult(ok=False, message=self._scrub(mend))
        if reply.status >= 500:
            return TestResult(ok=False, message=f"{host} answers, but has a problem of its own: {name(reply)}.")
        return TestResult(ok=True, message=f"{host} answers. Send a test event to see whether it takes events.")

    def forward(self, batch: Sequence[OutboundItem]) -> Sequence[Outcome]:
        line = self._connect()
        until = time.monotonic() + _MOST_SECONDS
        waiting: dict[str, Outcome] = {}  # profile: why its later events wait
        everyone: Outcome | None = None  # why nothing more is sent
        outcomes: list[Outcome] = []
        for item in batch:
            person = item.profile or item.id
            held = everyone or waiting.get(person)
            if held is None and outcomes and time.monotonic() > until:
                held = everyone = _NO_TIME
            if held is not None:
                outcomes.append(held)
                continue
            outcome, concerns_all = self._send(line, item)
            outcomes.append(outcome)
            if concerns_all:
                everyone = _not_sent(outcome)
            elif outcome.kind is OutcomeKind.RETRY:
                waiting[person] = _not_sent(outcome)
        return outcomes

    def close(self) -> None:
        if self._line is not None:
            self._line.close()

    def _connect(self) -> Line:
        if self._line is None:
            receiver = read_receiver(self.options)
            self._line = Line(receiver, private_hosts_allowed=self.private_hosts_allowed)
        return self._line

    def _send(self, line: Line, item: OutboundItem) -> tuple[Outcome, bool]:
        """The outcome of one event, and whether the others would fare the same."""
        try:
            body = dumps(item.body)
        except NotStorable as error:
            return Outcome(OutcomeKind.REJECT, f"The event {error}."), False
        try:
            reply = line.call("POST", body.encode(), _headers(line.receiver, item, body))
        except Retry as error:
            return Outcome(OutcomeKind.RETRY, self._scrub(error.reason)), True
        except Halt as error:
            return Outcome(OutcomeKind.HALT, self._scrub(error.reason)), True
        outcome = read_reply(reply, host=line.receiver.host)
        outcome = replace(outcome, reason=self._scrub(outcome.reason), reply=self._scrub(outcome.reply))
        return outcome, outcome.kind is OutcomeKind.HALT or ask_for_a_pause(reply)

    def _scrub(self, text: str) -> str:
        """A receiver may repeat in its answer what our headers told it."""
        return scrub(text, self._line.receiver.secrets) if self._line else text


def _headers(receiver: Receiver, item: OutboundItem, body: str) -> dict[str, str]:
    now = datetime.now(UTC)
    headers = {
        "accept": "*/*",
        "user-agent": "Grouparoo",
        **receiver.headers,
        "content-type": "application/json",
        "grouparoo-event": quote(item.type, safe=" /:.,+@"),
        "idempotency-key": item.id,
        "webhook-id": item.id,
        "webhook-signature": " ".join(signer.sign(item.id, now, body) for signer in receiver.signers),
        "webhook-timestamp": str(int(now.timestamp())),
    }
    if item.is_test or item.is_backfill:
        headers["grouparoo-note"] = "test" if item.is_test else "backfill"
    return headers


def _not_sent(outcome: Outcome) -> Outcome:
    """What those behind are answered: they were not sent, so it costs them no try."""
    if outcome.kind is OutcomeKind.HALT:
        return Outcome(OutcomeKind.HALT, outcome.reason)
    return Outcome(OutcomeKind.RETRY, f"Not sent yet: {outcome.reason}", after=outcome.after or _SOON)
