"""What the stand-in refuses, as Mailchimp would: bodies against their schemas, addresses, values of merge fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import uuid4

from jsonschema import Draft4Validator, FormatChecker

from plugins.mailchimp.standin.operations import BODIES, QUERIES, Schema

_DOCS = "https://mailchimp.com/developer/marketing/docs/errors/"
_EMAIL = re.compile(r"[^@\s\"(),:;<>\[\\\]]{1,64}@([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}", re.IGNORECASE).fullmatch
_LONGEST_TEXT = 255
_formats = FormatChecker(formats=())


@_formats.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or bool(datetime.fromisoformat(value).tzinfo)


class Refusal(Exception):
    """An answer that is an error, as a problem document. `field` and `message` of each error are Mailchimp's."""

    def __init__(self, status: int, title: str, detail: str, errors: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.errors = status, title, detail, errors

    def document(self) -> dict[str, Any]:
        """The body of the answer."""
        found = {"type": _DOCS, "title": self.title, "status": self.status, "detail": self.detail}
        errors = [{"field": field, "message": message} for field, message in self.errors]
        return {**found, "instance": str(uuid4()), **({"errors": errors} if errors else {})}


def invalid(errors: Sequence[tuple[str, str]]) -> Refusal:
    """The refusal of a body whose parts do not fit."""
    text = "The resource submitted could not be validated. For field-specific details, see the 'errors' array."
    return Refusal(400, "Invalid Resource", text, errors)


@cache
def _validator(operation: str) -> Draft4Validator:
    return Draft4Validator(BODIES[operation], format_checker=_formats)


def problems_with(schema: Schema, document: Any) -> list[str]:
    """How a document differs from a schema; for checking the stand-in's own answers."""
    return [error.message for error in Draft4Validator(schema, format_checker=_formats).iter_errors(document)]


def check_body(operation: str, body: Any) -> None:
    """Raise `Refusal` for a body that the operation does not take."""
    errors = [
        (".".join(map(str, error.path)), _shorten(error.message)) for error in _validator(operation).iter_errors(body)
    ]
    if errors:
        raise invalid(errors[:20])


def check_query(operation: str, query: Mapping[str, str]) -> None:
    """Raise `Refusal` for a parameter that the operation does not have, or a value that the parameter does not take."""
    known = QUERIES[operation]
    errors = [(name, "There is no such parameter.") for name in query if name not in known]
    errors += [
        (name, f"Value must be one of: {', '.join(known[name])}.")
        for name, value in query.items()
        if known.get(name) and value not in known[name]
    ]
    for name in ("since_last_changed", "before_last_changed"):
        if query.get(name) and not _can_be_time(query[name]):
            errors.append((name, "Please enter a date in ISO 8601 time format."))
    if errors:
        raise invalid(errors)


def _can_be_time(text: str) -> bool:
    try:
        return bool(datetime.fromisoformat(text).tzinfo)
    except ValueError:
        return False


def _shorten(message: str) -> str:
    """What is wrong stands at the end, behind the whole value."""
    return message if len(message) <= 200 else f"…{message[-199:]}"


def check_email(email: str) -> None:
    """Raise `Refusal` for an address that Mailchimp takes to be none."""
    if not _EMAIL(email):
        raise Refusal(400, "Invalid Resource", "Please provide a valid email address.")
    if email.lower().endswith(".invalid"):
        raise Refusal(
            400, "Invalid Resource", f"{email} looks fake or invalid, please enter a real email address."
        )  # fmt: skip


def read_merge_fields(
    known: Sequence[Mapping[str, Any]], given: Mapping[str, Any], *, skip_required: bool, is_new: bool
) -> dict[str, Any]:
    """The values to store, of known tags only. Raises `Refusal`."""
    errors = list(_merge_errors(known, given, skip_required=skip_required, is_new=is_new))
    if errors:
        detail = "Your merge fields were invalid."
        raise Refusal(400, "Invalid Resource", detail, errors)
    tags = {str(field["tag"]) for field in known}
    return {tag.upper(): value for tag, value in given.items() if tag.upper() in tags}


def _merge_errors(
    known: Sequence[Mapping[str, Any]], given: Mapping[str, Any], *, skip_required: bool, is_new: bool
) -> Iterator[tuple[str, str]]:
    values = {tag.upper(): value for tag, value in given.items()}
    for field in known:
        tag = str(field["tag"])
        value = values.get(tag, "")
        if value == "":
            if field.get("required") and not skip_required and (is_new or tag in values):
                yield tag, "Please enter a value"
        elif message := _problem_of(field, value):
            yield tag, message


def _problem_of(field: Mapping[str, Any], value: Any) -> str:
    kind, options = str(field["type"]), field.get("options") or {}
    if isinstance(value, bool | list) or value is None:
        return "Data did not match any of the schemas described in anyOf."
    if kind == "address":
        wanted = ("addr1", "city", "state", "zip")
        return "" if isinstance(value, dict) and all(value.get(key) for key in wanted) else "Please enter the address"
    if isinstance(value, dict):
        return "Data did not match any of the schemas described in anyOf."
    if kind in ("radio", "dropdown"):
        return "" if value in options.get("choices", ()) else "Value must be one of the choices."
    if kind == "phone":
        form, message = _US_PHONE if options.get("phone_format") == "US" else _FORMS["text"]
    else:
        form, message = _FORMS.get(kind, _FORMS["text"])
    return "" if form(str(value)) else message


def _shorter(text: str) -> bool:
    return len(text) <= _LONGEST_TEXT


_FORMS: Mapping[str, tuple[Callable[[str], Any], str]] = {
    "text": (_shorter, f"This value must be {_LONGEST_TEXT} characters or less."),
    "number": (re.compile(r"-?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?").fullmatch, "This value should be of type float."),
    "date": (re.compile(r"[0-9]{4}-[01][0-9]-[0-3][0-9]").fullmatch, "Please enter a date as YYYY-MM-DD."),
    "birthday": (re.compile(r"[01][0-9]/[0-3][0-9]").fullmatch, "Please enter a birthday as MM/DD."),
    "zip": (re.compile(r"[0-9]{5}").fullmatch, "Please enter a zip code of five digits."),
    "url": (re.compile(r"https?://\S+").fullmatch, "Please enter a complete website address."),
    "imageurl": (re.compile(r"https?://\S+").fullmatch, "Please enter a complete image address."),
}
_US_PHONE: tuple[Callable[[str], Any], str] = (
    re.compile(r"\(?[0-9]{3}\)?[- .]?[0-9]{3}[- .]?[0-9]{4}").fullmatch,
    "Please enter a phone number as NPA-NXX-LINE.",
)
