"""Reads JSON bodies so that one bad value in a list never makes the rest unreadable.

What is JSON but cannot be stored (half a character, a number beyond range, a thousand brackets) is read all the same;
`core.lib.storable.find_problem` then names it in the item it stands in. Only text that is not JSON fails as a whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from core.lib.storable import DEEPEST, TOO_LARGE_A_NUMBER
from core.rest.errors import TooLarge

_DIGITS_OF_64_BITS = 20
_CUT_AT = DEEPEST + 10  # deeper than anything that may be stored, with what stands around it
_BRACKETS_AND_STRINGS = re.compile(r'[\[\]{}]|"(?:[^"\\]|\\.)*"', re.DOTALL)


class JsonParser(BaseParser):
    """JSON in UTF-8, of any depth, up to `DATA_UPLOAD_MAX_MEMORY_SIZE` bytes."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """The value of the body. Raises ParseError or TooLarge with a sentence."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise TooLarge(f"The body may have at most {limit:,} bytes. Send less at a time.")
        return read_json(body)


def require_body(request: Request) -> Any:
    """The value of the body; the framework alone would take no body at all for an empty object. Raises ParseError."""
    if request.META.get("CONTENT_LENGTH") in (None, "", "0"):
        raise ParseError("The body is empty. Send JSON in it.")
    return request.data


def read_json(body: bytes) -> Any:
    """The value of a JSON text. Raises ParseError."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ParseError(f"The body is not UTF-8 (byte {error.start + 1}). Send JSON in UTF-8.") from None
    try:
        return _decode(text)
    except RecursionError:
        return _decode(_cut_depth(text))


def _decode(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ParseError(f"The body is not JSON: {error.msg} at {where}.") from None
    except ValueError:  # a whole number of more digits than Python reads
        return json.loads(text, parse_int=_read_int)


def _read_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= _DIGITS_OF_64_BITS else TOO_LARGE_A_NUMBER


def _cut_depth(text: str) -> str:
    """`text` without what lies far too deep in it: still too deep to be stored, but not too deep to be read."""
    kept: list[str] = []
    depth = start = 0
    for match in _BRACKETS_AND_STRINGS.finditer(text):
        piece = match.group()
        if piece in "[{":
            depth += 1
            if depth == _CUT_AT:
                kept.append(text[start : match.end()])
                start = len(text)  # unless this bracket is closed
        elif piece in "]}":
            if depth == _CUT_AT:
                start = match.start()
            depth -= 1
    return "".join([*kept, text[start:]])
