"""What a receiver's answer means for what was sent to it."""

from __future__ import annotations

from core.lib.pauses import read_retry_after
from plugins.contracts import Outcome, OutcomeKind
from plugins.webhook.calling import MOST_REPLY, Reply

_SOON = 1.0  # seconds after which what was not sent at all may be tried
NO_TIME = Outcome(OutcomeKind.RETRY, "Not sent yet: the receiver took its time with others.", after=_SOON)
_NOT_NOW = frozenset({408, 425, 429})
_NO_ACCESS = frozenset({401, 403})


def read_reply(reply: Reply, *, host: str, what: str) -> Outcome:
    """The outcome of what was sent, such as "the event", with the answer as people see it in the log."""
    status = reply.status
    shown = show(reply)
    if 200 <= status < 300:
        return Outcome(OutcomeKind.ACCEPTED, reply=shown)
    if status in _NOT_NOW or status >= 500 or status < 200:
        return Outcome(OutcomeKind.RETRY, f"{host} answered {name(reply)}.", after=read_pause(reply), reply=shown)
    if mend := find_what_to_mend(reply, host=host):
        return Outcome(OutcomeKind.HALT, mend, reply=shown)
    return Outcome(OutcomeKind.REJECT, f"{host} refused {what}: {name(reply)}.", reply=shown)


def not_sent(outcome: Outcome) -> Outcome:
    """What those behind are answered: they were not sent, so it costs them no try."""
    if outcome.kind is OutcomeKind.HALT:
        return Outcome(OutcomeKind.HALT, outcome.reason)
    return Outcome(OutcomeKind.RETRY, f"Not sent yet: {outcome.reason}", after=outcome.after or _SOON)


def find_what_to_mend(reply: Reply, *, host: str) -> str:
    """A sentence when a person has to change something before the receiver takes anything; else ""."""
    if 300 <= reply.status < 400:
        place = reply.headers.get("location", "another place")
        return f"{host} sends on to {place[:300]}: redirects are not followed, so put the final address into the URL."
    if reply.status in _NO_ACCESS:
        return f"{host} refuses access ({name(reply)}): look at the signing secret and the headers."
    if reply.status == 410:
        return f"{host} says that nobody receives anything there any more (410): change the URL, or stop sending."
    return ""


def ask_for_a_pause(reply: Reply) -> bool:
    """Whether the answer is about the receiver as a whole rather than about this one request."""
    return reply.status in (429, 502, 503, 504) or (reply.status in _NOT_NOW and read_pause(reply) is not None)


def name(reply: Reply) -> str:
    """The status as people write it: "429 Too Many Requests"."""
    return f"{reply.status} {reply.words}".strip()


def show(reply: Reply) -> str:
    """The status and below it the beginning of the answer."""
    return f"{name(reply)}\n{reply.text[:MOST_REPLY]}".strip()


def read_pause(reply: Reply) -> float | None:
    """Seconds of `Retry-After`; None when there is none that can be read."""
    return read_retry_after(reply.headers.get("retry-after", ""))
