"""Profiles, one HTTP request each or many at once.

What a message says is in `plugins.webhook.messages`; a template may put it in other words. A request of many that is
refused for its data is halved until the profiles at fault are alone; or the receiver takes it and says whom it refused:
`{"errors": [{"key": …, "message": …}]}`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from core.lib.json import NotStorable, dumps, loads
from plugins.base import ExportsProfiles
from plugins.contracts import ACCEPTED, Field, Option, Outcome, OutcomeKind, ProfileExport, Retry, Target
from plugins.webhook.answers import NO_TIME, ask_for_a_pause, not_sent, read_reply
from plugins.webhook.app import MOST_SECONDS, WebhookApp
from plugins.webhook.calling import Line, Reply
from plugins.webhook.destination import MOST_AT_ONCE, TARGET_OPTIONS, Destination, read_destination
from plugins.webhook.headers import make_headers
from plugins.webhook.messages import name_request, read_message

_MOST_REPLY = 1024**2  # bytes of an answer that may say whom the receiver refused
_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class _Parcel:
    """One profile's message, ready to be sent: its place in the batch, its id and key, the text of its body."""

    place: int
    id: str
    key: str
    method: str
    text: str


class WebhookExports(WebhookApp, ExportsProfiles):
    """The exporting half of the plugin.

    It may send twice (`idempotent`): a message holds the whole state, and its id tells a repetition. In the mode
    `enrich` every message is an update, and the receiver, who alone knows whom it has, makes nobody of it.
    """

    target_options: ClassVar[tuple[Option, ...]] = TARGET_OPTIONS
    batch_size: ClassVar[int] = MOST_AT_ONCE

    def fields(self, target_options: Mapping[str, Any]) -> Sequence[Field]:
        return read_destination(target_options, self.connect().receiver).fields

    def export(self, target: Target, batch: Sequence[ProfileExport]) -> Sequence[Outcome]:
        if not batch:
            return []
        line = self.connect()
        destination = read_destination(target.options, line.receiver)
        destination.check_fields(target)
        sending = _Sending(line, destination, note="backfill" if target.is_backfill else "")
        parcels = list(sending.pack(target, batch))
        for request in _requests(parcels, size=destination.at_once or 1):
            sending.send(request)
        if destination.at_once and sending.took_nothing:
            raise Retry(self.scrub(sending.outcomes[0].reason))  # whoever asked may look for a profile that spoils it
        return [self.scrub_outcome(sending.outcomes[place]) for place in range(len(batch))]


@dataclass(slots=True)
class _Sending:
    """One batch on its way."""

    line: Line
    destination: Destination
    note: str
    until: float = field(default_factory=lambda: time.monotonic() + MOST_SECONDS)
    stopped: Outcome | None = None  # why nothing more is sent
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    @property
    def took_nothing(self) -> bool:
        """Whether the receiver answered each time, and each time with a failure of its own."""
        tried_in_vain = (each.kind is OutcomeKind.RETRY and each.after is None for each in self.outcomes.values())
        return self.stopped is None and all(tried_in_vain)

    def pack(self, target: Target, batch: Sequence[ProfileExport]) -> Iterator[_Parcel]:
        """What there is to send; the outcomes of the rest."""
        template = self.destination.template
        for place, item in enumerate(batch):
            try:
                message = read_message(item, target)
                if message is None:
                    self.outcomes[place] = ACCEPTED
                    continue
                text = dumps(template.fill(message) if template else message)
            except NotStorable as error:
                self.outcomes[place] = Outcome(OutcomeKind.REJECT, f"The profile {error}.")
                continue
            method = self.destination.method_for(message["action"])
            yield _Parcel(place, message["id"], str(message["key"]), method, text)

    def send(self, parcels: Sequence[_Parcel]) -> None:
        """Send one request and note what it comes to for each profile in it."""
        if self.stopped is None and self.outcomes and time.monotonic() > self.until:
            self.stopped = NO_TIME
        if self.stopped is not None:
            self._note(parcels, self.stopped)
            return
        outcome, errors = self._call(parcels)
        if outcome.kind is OutcomeKind.REJECT and len(parcels) > 1:
            middle = len(parcels) // 2
            self.send(parcels[:middle])
            self.send(parcels[middle:])
            return
        self._note(parcels, outcome)
        for parcel in parcels:
            if parcel.key in errors:
                self.outcomes[parcel.place] = Outcome(OutcomeKind.REJECT, errors[parcel.key], reply=outcome.reply)

    def _note(self, parcels: Sequence[_Parcel], outcome: Outcome) -> None:
        self.outcomes |= dict.fromkeys([parcel.place for parcel in parcels], outcome)

    def _call(self, parcels: Sequence[_Parcel]) -> tuple[Outcome, Mapping[str, str]]:
        """What one request came to, and the reasons of those that were refused one by one."""
        host = self.line.receiver.host
        body = self._body(parcels)
        name = name_request([parcel.id for parcel in parcels])
        headers = make_headers(self.line.receiver, name, body, profiles=str(len(parcels)), note=self.note)
        try:
            reply = self.line.call(
                parcels[0].method, body.encode(), headers, path=self.destination.path, most=_MOST_REPLY
            )
        except Retry as error:
            outcome = Outcome(OutcomeKind.RETRY, error.reason)
            self.stopped = not_sent(outcome)
            return outcome, {}
        outcome = read_reply(reply, host=host, what="the profile")
        if outcome.kind is OutcomeKind.HALT or ask_for_a_pause(reply):
            self.stopped = not_sent(outcome)
        if outcome.kind is OutcomeKind.ACCEPTED and self.destination.at_once:
            try:
                return outcome, _read_errors(reply, {parcel.key for parcel in parcels}, host=host)
            except Retry as error:
                return Outcome(OutcomeKind.RETRY, error.reason, reply=outcome.reply), {}
        return outcome, {}

    def _body(self, parcels: Sequence[_Parcel]) -> str:
        if not self.destination.at_once:
            return parcels[0].text
        listed = f"[{','.join(parcel.text for parcel in parcels)}]"  # each of them is JSON by itself
        return listed if self.destination.template else f'{{"profiles":{listed}}}'


def _requests(parcels: Sequence[_Parcel], *, size: int) -> Iterator[Sequence[_Parcel]]:
    """Parcels that share a request. No two are about one key, so those of another method may go after the others."""
    for method in dict.fromkeys(parcel.method for parcel in parcels):
        same = [parcel for parcel in parcels if parcel.method == method]
        yield from (same[start : start + size] for start in range(0, len(same), size))


def _read_errors(reply: Reply, keys: set[str], *, host: str) -> Mapping[str, str]:
    """The reasons of the profiles that the answer says were refused, by key.

    Raises `Retry` when it says that some were and not whom: nobody may count as taken then.
    """
    if not reply.is_whole:
        raise Retry(f"{host} answered with more than 1 MB or not to the end, so whom it refused cannot be read.")
    try:
        answer = loads(reply.text)
    except ValueError:
        return {}
    errors = answer.get("errors") if isinstance(answer, dict) else None
    if not errors:
        return {}
    listed = errors if isinstance(errors, list) else [errors]
    named = [each for each in listed if isinstance(each, dict) and str(each.get("key")) in keys]
    if len(named) < len(listed):
        raise Retry(f"{host} answered with errors that do not name the “key” of a profile that was sent.")
    return {str(each["key"]): f"{host} refused the profile: {_clean(each.get('message'))}" for each in named}


def _clean(message: Any) -> str:
    text = "".join(letter for letter in str(message or "it does not say why") if letter.isprintable())
    return text[:_LONGEST_REASON]
