"""Where an export goes and in which form: its options, read and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from plugins.contracts import Field, Halt, Option, OptionKind, Target
from plugins.webhook.messages import REMOVE
from plugins.webhook.receiver import Receiver, read_address
from plugins.webhook.template import ACTION, KEY, OWN_NAMES, PROFILE, Template, read_template

MOST_AT_ONCE = 500
_ANY = "json"  # a value of any type, as it is
_METHODS = ("POST", "PUT", "PATCH")
_AS_ANY, _DELETE = "same", "delete"
_REMOVALS = ((_AS_ANY, "As any other, with the action remove"), (_DELETE, "By the method DELETE"))

TARGET_OPTIONS: tuple[Option, ...] = (
    Option(
        "url",
        "URL of this export",
        placeholder="https://example.com/hooks/people",
        help="Left empty: the App's. It has to be at the App's host, whose signatures and headers are for nobody else.",
    ),
    Option(
        "method", "Method", kind=OptionKind.CHOICE, choices=tuple((each, each) for each in _METHODS), default="POST"
    ),
    Option(
        "at_once",
        "Profiles in one request",
        kind=OptionKind.NUMBER,
        placeholder="One",
        help=f"Left empty: one, and the body is its object. With a number up to {MOST_AT_ONCE}: lists of so many.",
    ),
    Option(
        "template",
        "Body template",
        kind=OptionKind.JSON,
        placeholder='{"email": "{{email}}", "tags": "{{groups}}", "what": "{{action}}"}',
        help=(
            "JSON for one profile, with {{…}} in quotes for a value: the name of a field, or action, key, old_key,"
            " groups, id, profile (all fields). Left empty, the body says all of them."
        ),
    ),
    Option("removal", "A removal is sent", kind=OptionKind.CHOICE, choices=_REMOVALS, default=_AS_ANY),
)


@dataclass(frozen=True, slots=True)
class Destination:
    """An export's place at the receiver. `at_once` 0: each profile alone, as an object; else lists of so many."""

    path: str  # with the query
    method: str
    removes_by: str  # the method of a removal
    at_once: int
    template: Template | None

    @property
    def fields(self) -> Sequence[Field]:
        """The fields that the template asks for; none where everything is sent."""
        if self.template is None or PROFILE in self.template.names:
            return ()
        named = [
            Field(name, _ANY, required=True, takes_lists=True) for name in self.template.names if name not in OWN_NAMES
        ]
        return [*named, Field(KEY, _ANY)] if KEY in self.template.names else named

    def method_for(self, action: str) -> str:
        """The HTTP method that says it."""
        return self.removes_by if action == REMOVE else self.method

    def check_fields(self, target: Target) -> None:
        """Raise `Halt` when the template names a field that the export no longer has."""
        for field in self.fields:
            if field.required and field.key not in target.fields:
                raise Halt(
                    f"The body template names {{{{{field.key}}}}}, and this export has no such field: choose a property"
                    " for it, or take it out.",
                    option="template",
                )


def read_destination(options: Mapping[str, Any], receiver: Receiver) -> Destination:
    """The destination that an export's options describe. Raises `Halt` with what to change."""
    template = read_template(options.get("template"))
    removal = _choose(options, "removal", "The way a removal is sent", [key for key, _ in _REMOVALS])
    if template and removal == _AS_ANY and ACTION not in template.names:
        raise Halt(
            "The body template says nothing of the action, so a removal would look like any other request: put"
            " {{action}} into it, or send removals by DELETE.",
            option="template",
        )
    method = _choose(options, "method", "The method", _METHODS)
    return Destination(
        path=_read_path(options.get("url"), receiver),
        method=method,
        removes_by="DELETE" if removal == _DELETE else method,
        at_once=_read_number(options.get("at_once")),
        template=template,
    )


def _choose(options: Mapping[str, Any], key: str, label: str, known: Sequence[str]) -> str:
    value = options.get(key) or known[0]
    if value not in known:
        raise Halt(f"{label} has to be one of: {', '.join(known)}.", option=key)
    return str(value)


def _read_number(value: Any) -> int:
    if value is None or value == "":
        return 0
    text = str(value).strip()
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else 0
    if not 1 <= number <= MOST_AT_ONCE:
        raise Halt(f"Profiles in one request has to be a number from 1 to {MOST_AT_ONCE}, or empty.", option="at_once")
    return number


def _read_path(url: Any, receiver: Receiver) -> str:
    if not url:
        return receiver.path
    origin = f"{'https' if receiver.tls else 'http'}://{receiver.host}:{receiver.port}"
    try:
        address = read_address(urljoin(origin, str(url)), seconds=receiver.seconds)
    except (Halt, ValueError) as error:
        raise Halt(f"The URL of this export cannot be used. {error}", option="url") from None
    if (address.host, address.port, address.tls) != (receiver.host, receiver.port, receiver.tls):
        raise Halt(
            f"The URL of this export leads to another place than its App, whose signatures and headers are for"
            f" {receiver.host}, port {receiver.port}, alone: make an App for it, or give a path such as /people.",
            option="url",
        )
    return address.path
