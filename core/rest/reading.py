"""What endpoints read: bodies and query strings, checked by a declaration that the document shows too.

Nothing that was given is passed over in silence: an unknown part or filter is an error that names those there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from core.lib.errors import InvalidInput
from core.lib.storable import find_problem, find_problem_in_text
from core.rest.paging import Pages
from core.rest.parsing import require_body


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
    return _check(kind(data=body, partial=partial), given=body, what="part")


def read_query(request: Request, kind: type[Query]) -> dict[str, Any]:
    """The checked parameters of the address. Raises InvalidInput."""
    given = request.query_params
    for name, value in given.items():
        if problem := find_problem_in_text(f"{name}{value}"):
            raise InvalidInput(f"A parameter {problem}.")
    return _check(kind(data=given), given=given, what="parameter")


def _check(serializer: serializers.Serializer[Any], *, given: Mapping[str, Any], what: str) -> dict[str, Any]:
    unknown = sorted(str(name) for name in given if name not in serializer.fields)
    if unknown:
        known = ", ".join(serializer.fields) or "none"
        problems = {name: f"There is no {what} “{name[:60]}”. There are: {known}." for name in unknown}
        raise InvalidInput(" ".join(problems.values()), problems)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)
