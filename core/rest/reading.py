"""What endpoints read: bodies and query strings, checked by a declaration that the document shows too.

Nothing that was given is passed over in silence: an unknown part or filter is an error that names those there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from core.lib.errors import InvalidInput
from core.lib.storable import find_problem, find_problem_in_text
from core.rest.paging import Pages
from core.rest.parsing import require_body

# field, its word, the Python types of its JSON; the first that fits counts
_KINDS: tuple[tuple[type, str, tuple[type, ...]], ...] = (
    (serializers.BooleanField, "true or false", (bool,)),
    (serializers.IntegerField, "a whole number", (int,)),
    (serializers.FloatField, "a number", (int, float)),
    (serializers.ListField, "a list", (list,)),
    (serializers.ListSerializer, "a list", (list,)),
    (serializers.JSONField, "", (object,)),
    (serializers.DictField, "an object", (dict,)),
    (serializers.Serializer, "an object", (dict,)),
    (serializers.CharField, "a text", (str,)),
    (serializers.ChoiceField, "a text", (str,)),
    (serializers.UUIDField, "a text", (str,)),
    (serializers.DateTimeField, "a text", (str,)),
)


class Body(serializers.Serializer[Any]):
    """The parts of a request's body."""


class Query(serializers.Serializer[Any]):
    """The parameters of a read."""


class PageQuery(Query):
    """The parameters of every list that comes in pages."""

    cursor = serializers.CharField(
        required=False, max_length=2000, help_text="Where to go on: take it from `next` of the page before."
    )
    limit = serializers.IntegerField(
        required=False, min_value=1, max_value=Pages.max_page_size, help_text="How many at most; 50 unless told."
    )


def read_body(request: Request, kind: type[Body], *, partial: bool = False) -> dict[str, Any]:
    """The checked parts of the body; with `partial` those that are given. Raises InvalidInput or ParseError."""
    body = require_body(request)
    if not isinstance(body, Mapping):
        raise InvalidInput("Send a JSON object.")
    if problem := find_problem(dict(body)):
        raise InvalidInput(f"The body {problem}.")
    serializer = kind(data=body, partial=partial)
    problems = dict(_find_wrong_kinds(serializer, body))
    if problems:
        raise InvalidInput(" ".join(f"{place}: {reason}" for place, reason in problems.items()), problems)
    return _check(serializer, given=body, what="part")


def read_query(request: Request, kind: type[Query]) -> dict[str, Any]:
    """The checked parameters of the address. Raises InvalidInput."""
    given = request.query_params
    for name, value in given.items():
        if problem := find_problem_in_text(f"{name}{value}"):
            raise InvalidInput(f"A parameter {problem}.")
    return _check(kind(data=given), given=given, what="parameter")


def _find_wrong_kinds(field: Any, value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Where JSON of another kind was given; the framework alone would take "12" for 12 and 12 for "12"."""
    if value is None:
        return  # whether that is allowed is the field's own matter
    word, kinds = next(((word, kinds) for known, word, kinds in _KINDS if isinstance(field, known)), ("", (object,)))
    if word and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
        yield at or "non_field_errors", f"This has to be {word}."
        return
    for name, inner, part in _parts_of(field, value):
        yield from _find_wrong_kinds(inner, part, f"{at}.{name}" if at else str(name))


def _parts_of(field: Any, value: Any) -> Iterator[tuple[Any, Any, Any]]:
    """What stands inside a value: its name, its field, its own value."""
    if isinstance(field, serializers.Serializer):
        yield from ((name, inner, value[name]) for name, inner in field.fields.items() if name in value)
    elif isinstance(field, serializers.ListField | serializers.ListSerializer):
        yield from ((place, field.child, item) for place, item in enumerate(value))
    elif isinstance(field, serializers.DictField):
        yield from ((name, field.child, item) for name, item in value.items())


def _check(serializer: serializers.Serializer[Any], *, given: Mapping[str, Any], what: str) -> dict[str, Any]:
    unknown = sorted(str(name) for name in given if name not in serializer.fields)
    if unknown:
        known = ", ".join(serializer.fields) or "none"
        problems = {name: f"There is no {what} “{name[:60]}”. There are: {known}." for name in unknown}
        raise InvalidInput(" ".join(problems.values()), problems)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)
