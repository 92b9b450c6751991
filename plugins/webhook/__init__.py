"""The webhook plugin: sends events to an address of yours, one HTTP request each, signed as Standard Webhooks says.

A request's body is the event's JSON and nothing else. Headers say the rest: `webhook-id` (the same for every attempt,
so a receiver can drop repetitions; also sent as `idempotency-key`), `webhook-timestamp`, `webhook-signature`,
`grouparoo-event` (its type, percent-encoded), and `grouparoo-note`, which is `test` for an event that a person sent to
try it and `backfill` for an old one.
"""

from __future__ import annotations

import time
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import quote

from core.lib.json import NotStorable, dumps
from core.lib.secrets import MASK, scrub
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
from plugins.lanes import Brake, make_lanes, outcome_of, run_lanes
from plugins.webhook.answers import ask_for_a_pause, find_what_to_mend, name, read_reply
from plugins.webhook.calling import Line
from plugins.webhook.receiver import LONGEST_WAIT, Receiver, read_receiver

__all__ = ["Webhook"]

_MOST_SECONDS = 20.0  # for one batch; what is left then is answered "not yet"
_SHOWN_OF_SIGNATURE = 11  # enough to compare, not enough to use
_SOON = 1.0  # seconds after which what was not sent at all may be tried


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
    event_batch_size = 1000  # a batch grows so far only while the receiver is quick

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._free: list[Line] = []  # lines that are kept and that nobody uses just now

    def test(self) -> TestResult:
        """Asks for the address by HEAD, which no receiver takes for an event."""
        try:
            receiver = self._receiver
        except Halt as error:
            return TestResult(ok=False, message=error.reason)
        try:
            with self._line() as line:
                reply = line.call("HEAD", None, receiver.headers)
        except (Halt, Retry) as error:
            return TestResult(ok=False, message=self._scrub(error.reason))
        host = receiver.host
        if mend := find_what_to_mend(reply, host=host):
            return TestResult(ok=False, message=self._scrub(mend))
        if reply.status >= 500:
            return TestResult(ok=False, message=f"{host} answers, but has a problem of its own: {name(reply)}.")
        return TestResult(ok=True, message=f"{host} answers. Send a test event to see whether it takes events.")

    def forward(self, batch: Sequence[OutboundItem]) -> Sequence[Outcome]:
        if not batch:
            return []
        brake = Brake(_MOST_SECONDS, most_failures=None)
        first, *lanes = make_lanes([(place, [item.profile or item.id]) for place, item in enumerate(batch)])
        outcomes = {0: self._send(batch[0], brake)}  # alone, so that a receiver that is down is asked once
        if outcomes[0].kind in (OutcomeKind.RETRY, OutcomeKind.HALT):
            outcomes |= dict.fromkeys(first[1:], _not_sent(outcomes[0]))
        elif first[1:]:
            lanes.insert(0, first[1:])
        outcomes |= run_lanes(lanes, lambda place: self._send(batch[place], brake), brake, threads=self.calls_at_once)
        return [outcomes[place] for place in range(len(batch))]

    def close(self) -> None:
        while self._free:
            self._free.pop().close()

    @contextmanager
    def _line(self) -> Iterator[Line]:
        """A line that nobody else uses meanwhile: one that is kept, or a new one."""
        try:
            line = self._free.pop()
        except IndexError:
            line = Line(self._receiver, private_hosts_allowed=self.private_hosts_allowed)
        try:
            yield line
        finally:
            self._free.append(line)

    @cached_property
    def _receiver(self) -> Receiver:
        return read_receiver(self.options)

    def _send(self, item: OutboundItem, brake: Brake) -> Outcome:
        """The outcome of one event. Tells the brake when the others would fare the same."""
        try:
            body = dumps(item.body)
        except NotStorable as error:
            return Outcome(OutcomeKind.REJECT, f"The event {error}.")
        headers = _headers(self._receiver, item, body)
        began = time.monotonic()
        outcome, concerns_all = self._call(body, headers)
        outcome = replace(
            outcome,
            reason=self._scrub(outcome.reason),
            reply=self._scrub(outcome.reply),
            request=show_request(f"POST {self.options['url']}", headers, secret=self._receiver.headers),
            seconds=time.monotonic() - began,
        )
        if concerns_all:
            brake.stop(_not_sent(outcome))
        return outcome

    def _call(self, body: str, headers: Mapping[str, str]) -> tuple[Outcome, bool]:
        """What is answered to one request, and whether others would be answered the same."""
        try:
            with self._line() as line:
                reply = line.call("POST", body.encode(), headers)
        except (Retry, Halt) as error:
            return outcome_of(error), True
        outcome = read_reply(reply, host=self._receiver.host)
        return outcome, outcome.kind is OutcomeKind.HALT or ask_for_a_pause(reply)

    def _scrub(self, text: str) -> str:
        """A receiver may repeat in its answer what our headers told it."""
        return scrub(text, self._receiver.secrets)


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


def show_request(line: str, headers: Mapping[str, str], *, secret: Container[str]) -> str:
    """A request for the log, without its body: the values of secret headers masked, signatures cut short."""
    shown = {**headers, **{name: MASK for name in headers if name in secret}}
    shown["webhook-signature"] = " ".join(
        f"{each[:_SHOWN_OF_SIGNATURE]}…" for each in shown["webhook-signature"].split()
    )
    return "\n".join([line, *(f"{name}: {value}" for name, value in shown.items())])


def _not_sent(outcome: Outcome) -> Outcome:
    """What those behind are answered: they were not sent, so it costs them no try."""
    if outcome.kind is OutcomeKind.HALT:
        return Outcome(OutcomeKind.HALT, outcome.reason)
    return Outcome(OutcomeKind.RETRY, f"Not sent yet: {outcome.reason}", after=outcome.after or _SOON)
