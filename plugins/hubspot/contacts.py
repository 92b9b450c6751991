"""Reading and writing many contacts with one call, a hundred at most.

HubSpot refuses a call for many as a whole for the sake of one contact, unless each carries a trace id: then it does
the others and says which ones it refused. Both are met: what was refused as a whole is halved until those at fault
are alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from plugins.contracts import Halt, Retry
from plugins.hubspot.calling import Line, Problem
from plugins.hubspot.properties import KEY_FIELD

MOST = 100
NOT_FOUND = "OBJECT_NOT_FOUND"  # the category of what was said of a contact that is not there
_OTHER_ADDRESSES = "hs_additional_emails"
_LOST = "HubSpot did not say what became of this contact."


class Sent(Protocol):
    """What `write` tells of each input, by its place."""

    def wrote(self, place: int, contact: str) -> None:
        """It was written, as the contact of this id."""

    def refused(self, place: int, problem: Problem) -> None:
        """HubSpot refused it."""

    def lost(self, place: int, reason: str) -> None:
        """It is not known to have been written."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact that answers to an address. A merged one has several, of which one is its own."""

    id: str
    email: str
    properties: Mapping[str, Any]


def find(line: Line, emails: Sequence[str], *, properties: Sequence[str] = ()) -> dict[str, Contact]:
    """The contacts by address, in small letters; those that HubSpot does not know are absent."""
    wanted = list(dict.fromkeys(email.lower() for email in emails))
    found: dict[str, Contact] = {}
    for start in range(0, len(wanted), MOST):
        _find(line, wanted[start : start + MOST], list(properties), found)
    return {email: found[email] for email in wanted if email in found}


def _find(line: Line, emails: Sequence[str], properties: Sequence[str], found: dict[str, Contact]) -> None:
    asked = {
        "idProperty": KEY_FIELD,
        "properties": [KEY_FIELD, _OTHER_ADDRESSES, *properties],
        "propertiesWithHistory": [],
        "inputs": [{"id": email} for email in emails],
    }
    try:
        answer = line.call(line.contacts.read, asked)
    except Problem as problem:
        meaning = problem.meaning()
        if isinstance(meaning, Halt):
            raise meaning from None
        if len(emails) > 1:  # one that is no address at all
            middle = len(emails) // 2
            _find(line, emails[:middle], properties, found)
            _find(line, emails[middle:], properties, found)
        return
    for result in answer.get("results") or ():
        values = result.get("properties") or {}
        contact = Contact(str(result["id"]), str(values.get(KEY_FIELD) or "").lower(), values)
        for other in str(values.get(_OTHER_ADDRESSES) or "").lower().split(";"):
            found.setdefault(other.strip(), contact)
        found[contact.email] = contact


def update(line: Line, changes: Mapping[int, tuple[str, Mapping[str, str]]], sent: Sent, *, until: float) -> None:
    """Write properties into contacts, given as (id, properties) by place. A contact may be there more than once."""

    def send(places: Sequence[int]) -> None:
        inputs = [_input(place, changes[place][1], id=changes[place][0]) for place in places]
        answer = line.call(line.contacts.update, {"inputs": inputs})
        ids = {str(result["id"]) for result in answer.get("results") or ()}
        _tell(places, answer, sent, {place: changes[place][0] for place in places if changes[place][0] in ids})

    for places in _without_repetition({place: contact for place, (contact, _) in changes.items()}):
        _send(places, send, sent, until=until)


def create(line: Line, changes: Mapping[int, Mapping[str, str]], sent: Sent, *, until: float) -> None:
    """Make contacts of properties, given by place."""

    def send(places: Sequence[int]) -> None:
        inputs = [_input(place, changes[place], associations=[]) for place in places]
        answer = line.call(line.contacts.create, {"inputs": inputs})
        ids = {
            known: str(each["id"])
            for each in answer.get("results") or ()
            for known in (each.get("objectWriteTraceId"), (each.get("properties") or {}).get(KEY_FIELD))
        }
        found = {place: ids.get(str(place)) or ids.get(changes[place][KEY_FIELD]) for place in places}
        _tell(places, answer, sent, {place: contact for place, contact in found.items() if contact})

    _send(list(changes), send, sent, until=until)


def archive(line: Line, ids: Sequence[str]) -> None:
    """Archive contacts; those that are gone already are no trouble. Raises as `Line` does."""
    distinct = list(dict.fromkeys(ids))
    for start in range(0, len(distinct), MOST):
        line.call(line.contacts.archive, {"inputs": [{"id": each} for each in distinct[start : start + MOST]]})


def _input(place: int, properties: Mapping[str, str], **more: Any) -> dict[str, Any]:
    return {"properties": dict(properties), "objectWriteTraceId": str(place), **more}


def _without_repetition(contacts: Mapping[int, str]) -> list[list[int]]:
    """Places in calls in which no contact is there twice, which HubSpot refuses; in their order."""
    calls: list[dict[str, int]] = []
    for place, contact in contacts.items():
        if not calls or contact in calls[-1]:
            calls.append({})
        calls[-1][contact] = place
    return [list(call.values()) for call in calls]


def _send(places: Sequence[int], send: Callable[[Sequence[int]], None], sent: Sent, *, until: float) -> None:
    """Send all of them, in as few calls as HubSpot takes."""
    waiting = [list(places[start : start + MOST]) for start in range(0, len(places), MOST)][::-1]
    while waiting:
        if time.monotonic() > until:
            raise Retry("The batch ran out of time before this one; it goes out with the next.", after=1.0)
        some = waiting.pop()
        try:
            send(some)
        except Problem as problem:
            meaning = problem.meaning()
            if isinstance(meaning, Halt):
                raise meaning from None
            if len(some) == 1:
                sent.refused(some[0], problem)
            else:
                waiting += [some[len(some) // 2 :], some[: len(some) // 2]]


def _tell(places: Sequence[int], answer: Mapping[str, Any], sent: Sent, written: Mapping[int, str]) -> None:
    """What became of each: written, refused under its trace id, or lost. Raises `Problem` for what fits none."""
    refusals: dict[str, Problem] = {}
    for error in answer.get("errors") or ():
        problem = Problem(400, error)
        traces = (error.get("context") or {}).get("objectWriteTraceId") or ()
        if not traces and problem.category != NOT_FOUND:
            raise problem  # who it is about is found by halving
        refusals |= {str(trace): problem for trace in traces}
    for place in places:
        if place in written:
            sent.wrote(place, written[place])
        elif str(place) in refusals:
            sent.refused(place, refusals[str(place)])
        else:
            sent.lost(place, _LOST)
