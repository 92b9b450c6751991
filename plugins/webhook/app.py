"""What every use of a webhook App shares: its options, its line to the receiver, the test of the connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from core.lib.secrets import scrub
from plugins.base import App, TestsConnection
from plugins.contracts import AppSpec, Halt, Option, OptionKind, Outcome, Retry, TestResult
from plugins.webhook.answers import find_what_to_mend, name
from plugins.webhook.calling import Line
from plugins.webhook.receiver import LONGEST_WAIT, Receiver, read_receiver

MOST_SECONDS = 20.0  # for one batch; what is left then is answered "not yet"


class WebhookApp(App, TestsConnection):
    """A receiver of signed requests."""

    spec = AppSpec(
        key="webhook",
        label="Webhook",
        description="Send profiles, and events with what is known of the person, to any address: signed HTTP requests.",
        icon="webhook",
        categories=("events", "profiles"),
        options=(
            Option(
                "url",
                "URL",
                placeholder="https://example.com/hooks/grouparoo",
                help=(
                    "Where events and profiles are sent, as JSON. Left empty, this App only receives: from tools that"
                    " call the address which its page makes."
                ),
            ),
            Option(
                "secret",
                "Signing secret",
                kind=OptionKind.SECRET,
                help=(
                    "Needed to send: the receiver checks our signatures with it (Standard Webhooks). It begins with"
                    " whsec_; make one with: echo whsec_$(openssl rand -base64 32). To change it without a gap, give"
                    " the new and the old one with a space between them."
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
                help=f"From 1 to {LONGEST_WAIT}. After that it is sent again later.",
            ),
        ),
        parallel_calls=4,
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._line: Line | None = None
        self._spare: list[Line] = []  # the lines that no thread uses just now

    def test(self) -> TestResult:
        """Asks for the address by HEAD, which no receiver takes for anything that was sent."""
        if not self.options.get("url"):
            return TestResult(ok=True, message="This App has no URL: it only receives, and there is nothing to call.")
        try:
            line = self.connect()
            reply = line.call("HEAD", None, line.receiver.headers)
        except (Halt, Retry) as error:
            return TestResult(ok=False, message=self.scrub(error.reason))
        host = line.receiver.host
        if mend := find_what_to_mend(reply, host=host):
            return TestResult(ok=False, message=self.scrub(mend))
        if reply.status >= 500:
            return TestResult(ok=False, message=f"{host} answers, but has a problem of its own: {name(reply)}.")
        return TestResult(ok=True, message=f"{host} answers. Send something to see whether it takes it.")

    def close(self) -> None:
        lines, self._spare, self._line = self._spare, [], None
        for line in lines:
            line.close()

    def connect(self) -> Line:
        """The line to the receiver. Raises `Halt` with what to change in the App's options."""
        if self._line is None:
            receiver = read_receiver(self.options)
            self._line = Line(receiver, private_hosts_allowed=self.private_hosts_allowed)
            self._spare.append(self._line)
        return self._line

    @property
    def receiver(self) -> Receiver:
        """Where it sends to. Raises `Halt` as `connect` does."""
        return self.connect().receiver

    @contextmanager
    def spare_line(self) -> Iterator[Line]:
        """A line that no other thread uses meanwhile: one that is kept, or a new one."""
        try:
            line = self._spare.pop()
        except IndexError:
            line = Line(self.receiver, private_hosts_allowed=self.private_hosts_allowed)
        try:
            yield line
        finally:
            self._spare.append(line)

    def scrub(self, text: str) -> str:
        """A receiver may repeat in its answer what our headers told it."""
        return scrub(text, self._line.receiver.secrets) if self._line else text

    def scrub_outcome(self, outcome: Outcome) -> Outcome:
        """The same for the texts of an outcome."""
        return replace(outcome, reason=self.scrub(outcome.reason), reply=self.scrub(outcome.reply))
