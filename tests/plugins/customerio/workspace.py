"""A workspace as Customer.io's documentation describes it: who is in it, which operations it takes, what it refuses.

It identifies people by id and by email. What the documentation says happens in silence (an identifier that belongs to
someone else, a merge into nobody, a suppressed person) happens so here, and most of it is noted in `failures` as in the
workspace's activity log. What it leaves open is decided here: an event makes no person, and an operation that is too
large spoils no other of its batch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

IDENTIFIERS = ("id", "email", "cio_id")
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}").fullmatch
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+").fullmatch


class Invalid(Exception):
    """One operation, or a whole request, that is refused."""

    def __init__(self, field: str, message: str, reason: str = "invalid") -> None:
        super().__init__(message)
        self.document = {"reason": reason, "field": field, "message": message}


@dataclass
class Person:
    """One person: attributes without the identifiers, which are empty when not set."""

    cio_id: str
    id: str = ""
    email: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """One event that was taken."""

    identifiers: Mapping[str, str]
    name: str
    data: Mapping[str, Any]
    id: str | None
    timestamp: int | None
    version: int


@dataclass
class Workspace:
    """What the stand-in holds."""

    people: list[Person] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    suppressed: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    updates_email_by_id: bool = False  # the workspace's setting “Allow updates to email using ID”
    merges_too_late: bool = False  # the race that the documentation warns of: whom to keep is not there yet
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def find(self, identifiers: Mapping[str, Any]) -> Person | None:
        """The person with this identifier."""
        ((kind, value),) = identifiers.items()
        wanted = fold(kind, str(value))
        return next((person for person in self.people if fold(kind, getattr(person, kind)) == wanted), None)

    def put(self, *, id: str = "", email: str = "") -> Person:  # noqa: A002  its name at Customer.io
        """Let the workspace hold a person, as if by someone else's hand."""
        person = Person(f"{next(self._numbers):08x}", id, email)
        self.people.append(person)
        return person

    def apply(self, operation: Any) -> None:
        """Do one operation of a batch. Raises `Invalid`."""
        check(operation)
        action = operation["action"]
        if action == "merge":
            self._merge(operation["primary"], operation["secondary"])
        elif not self._is_suppressed(operation["identifiers"]):
            act: Callable[[Any], None] = getattr(self, f"_{action}")
            act(operation)

    def take_event(self, event: Event) -> None:
        """Keep an event, unless its id was there before."""
        if event.id is None or event.id not in {other.id for other in self.events}:
            self.events.append(event)

    # ------------------------------------------------------------ actions

    def _identify(self, operation: Mapping[str, Any]) -> None:
        attributes = dict(operation.get("attributes") or {})
        only_existing = attributes.pop("_update", False) is True
        ((kind, value),) = operation["identifiers"].items()
        person = self.find(operation["identifiers"])
        others = {other: attributes.pop(other) for other in ("id", "email") if other in attributes and other != kind}
        if person is None:
            person = next(
                (found for other, text in others.items() if text and (found := self.find({other: text}))), None
            )
            if person is not None and getattr(person, kind):
                self.failures.append(f"Attribute Update Failure: {kind} {value}")
                return
        if person is None and (only_existing or kind == "cio_id"):
            self.failures.append(f"Failed Attribute Change: nobody has the {kind} {value}")
            return
        person = person or self.put()
        if not getattr(person, kind):
            setattr(person, kind, value)
        for other, text in others.items():
            self._set_identifier(person, other, text)
        for name, given in attributes.items():
            if given in ("", None):
                person.attributes.pop(name, None)
            elif not name.startswith("_"):
                person.attributes[name] = given

    def _set_identifier(self, person: Person, kind: str, text: Any) -> None:
        has = getattr(person, kind)
        if fold(kind, has) == fold(kind, str(text or "")):
            return
        owner = self.find({kind: text}) if text else None
        may_change = not has or (kind == "email" and self.updates_email_by_id)
        if owner is not None or not may_change:
            self.failures.append(f"Attribute Update Failure: {kind} {text}")
            return
        setattr(person, kind, str(text or ""))

    def _delete(self, operation: Mapping[str, Any]) -> None:
        person = self.find(operation["identifiers"])
        if person is not None:
            self.people.remove(person)

    def _merge(self, primary: Mapping[str, str], secondary: Mapping[str, str]) -> None:
        kept, lost = self.find(primary), self.find(secondary)
        if kept is None or lost is None or kept is lost or self.merges_too_late:
            self.failures.append(f"Nothing to merge: {secondary} into {primary}")
            return
        kept.id, kept.email = kept.id or lost.id, kept.email or lost.email
        kept.attributes = {**lost.attributes, **kept.attributes}
        self.people.remove(lost)

    def _event(self, operation: Mapping[str, Any]) -> None:
        self.take_event(
            Event(
                operation["identifiers"],
                operation["name"].strip(),
                operation.get("attributes") or {},
                operation.get("id"),
                operation.get("timestamp"),
                version=2,
            )
        )

    def _is_suppressed(self, identifiers: Mapping[str, Any]) -> bool:
        ((kind, value),) = identifiers.items()
        return fold(kind, str(value)) in self.suppressed


def fold(kind: str, text: str) -> str:
    """Emails are the same in any case; ids are not."""
    return text.casefold() if kind == "email" else text


# ---------------------------------------------------------------- what is refused


def check(operation: Any) -> None:
    """Raises `Invalid` for an operation that is none."""
    if not isinstance(operation, dict) or operation.get("type") != "person":
        raise Invalid("type", "must be person, object or delivery")
    if len(json.dumps(operation)) > 32 * 1024:
        raise Invalid("batch", "each request must be smaller than 32kb", "too_large")
    checks: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
        "identify": _check_identify, "delete": _check_person, "event": _check_event, "merge": _check_merge,
    }  # fmt: skip
    if operation.get("action") not in checks:
        raise Invalid("action", "is not an action for a person")
    checks[operation["action"]](operation)


def _check_person(operation: Mapping[str, Any], part: str = "identifiers") -> None:
    identifiers = operation.get(part)
    if not isinstance(identifiers, dict) or len(identifiers) != 1 or not set(identifiers) <= set(IDENTIFIERS):
        raise Invalid(part, "must be exactly one of id, email, cio_id", "required")
    ((kind, value),) = identifiers.items()
    if not isinstance(value, str) or not value:
        raise Invalid(f"{part}.{kind}", f"{kind} attribute must be a string value and not be empty")
    if len(value.encode()) > 150 and kind == "id":
        raise Invalid(f"{part}.{kind}", "id cannot be longer than 150 bytes")
    if kind == "email" and not _EMAIL(value):
        raise Invalid(f"{part}.{kind}", "is not an email address")


def _check_merge(operation: Mapping[str, Any]) -> None:
    for part in ("primary", "secondary"):
        _check_person(operation, part)


def _check_identify(operation: Mapping[str, Any]) -> None:
    _check_person(operation)
    attributes = operation.get("attributes", {})
    if not isinstance(attributes, dict):
        raise Invalid("attributes", "must be an object")
    if len(attributes) > 300:
        raise Invalid("attributes", "cannot identify more than 300 attributes in one request")
    for name, value in attributes.items():
        if len(name.encode()) > 150:
            raise Invalid("attributes", "attribute name cannot be longer than 150 bytes")
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if len(text.encode()) > 1000:
            raise Invalid("attributes", f"value for attribute '{name}' cannot be longer than 1000 bytes")
    if attributes.get("email") and not _EMAIL(str(attributes["email"])):
        raise Invalid("attributes.email", "is not an email address")


def _check_event(operation: Mapping[str, Any]) -> None:
    _check_person(operation)
    check_event(operation, data=operation.get("attributes", {}))


def check_event(event: Mapping[str, Any], *, data: Any) -> None:
    """What both versions of the API ask of an event. Raises `Invalid`."""
    name = event.get("name")
    if not isinstance(name, str) or not name.strip():
        raise Invalid("name", "event name must not be blank")
    if len(name.encode()) > 100:
        raise Invalid("name", "event name cannot be longer than 100 bytes")
    if not isinstance(data, dict):
        raise Invalid("data", "event data must be a hash")
    if len(json.dumps(data, ensure_ascii=False).encode()) > 100_000:
        raise Invalid("data", "event data cannot be longer than 100000 bytes")
    if "id" in event and not _ULID(str(event["id"])):
        raise Invalid("id", "must be a valid ULID")
    if "timestamp" in event and type(event["timestamp"]) is not int:
        raise Invalid("timestamp", "must be a unix timestamp")
