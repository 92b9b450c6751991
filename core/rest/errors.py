"""The one error shape of the API, for every way to fail.

    {"error": {"code": "invalid", "message": "...", "fields": {"name": "..."}, "request_id": "..."}}

`code` is for programs and never changes; `message` is for people and says what to do.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from core.lib import request_ids
from core.lib.errors import InvalidInput, NotFound, ProductError, Refused

log = logging.getLogger(__name__)

_CODES = {
    400: "invalid",
    401: "not_signed_in",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    409: "refused",
    413: "too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
    500: "internal",
    503: "unavailable",
}
_MESSAGES = {
    400: "This request cannot be understood. Check its address and headers.",
    401: "Send an API key as “Authorization: Bearer KEY”, or sign in.",
    403: "This key or person may not do that. Ask an admin of your team.",
    404: "There is nothing at this address.",
    413: "This request is too large. Send less at a time.",
    500: "Something went wrong on our side. Try again, and tell us the request id if it stays.",
    503: "The product cannot answer just now. Try again in a moment.",
}
_STATUS = {InvalidInput: 400, NotFound: 404, Refused: 409}


class TooMany(exceptions.APIException):
    """More waits than the product wants to hold. `wait` is in seconds."""

    status_code = 429

    def __init__(self, detail: str, *, wait: float) -> None:
        super().__init__(detail)
        self.wait = wait


class TooLarge(exceptions.APIException):
    """The body of a request is larger than the setting allows."""

    status_code = 413
    default_detail = _MESSAGES[413]


def error_body(status: int, message: str = "", fields: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The body for a status, with the standing message where none is given."""
    code = _CODES.get(status, "invalid" if status < 500 else "internal")
    text = message or _MESSAGES.get(status) or _MESSAGES[400 if status < 500 else 500]
    return {"error": {"code": code, "message": text, "fields": dict(fields or {}), "request_id": request_ids.current()}}


def answer_error(error: Exception, context: Mapping[str, Any]) -> Response:
    """REST framework's exception handler: every error that leaves an endpoint becomes the one shape."""
    status, message, fields, headers = _read_error(error)
    if status >= 500:
        log.error("request %s failed", request_ids.current(), exc_info=error)
    return Response(error_body(status, message, fields), status=status, headers=headers)


def _read_error(error: Exception) -> tuple[int, str, dict[str, str], dict[str, str]]:
    if isinstance(error, ProductError):
        status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
        return status, error.message, error.fields, {}
    if isinstance(error, exceptions.ValidationError):
        fields = _flatten(error.detail)
        return 400, " ".join(dict.fromkeys(fields.values())), fields, {}
    if isinstance(error, exceptions.APIException):
        return error.status_code, _own_words(error), {}, _headers(error)
    if isinstance(error, Http404):
        return 404, "", {}, {}
    if isinstance(error, PermissionDenied):
        return 403, str(error), {}, {}
    if isinstance(error, RequestDataTooBig):
        return 413, "", {}, {}
    if isinstance(error, SuspiciousOperation):
        return 400, "", {}, {}
    return 500, "", {}, {}


def _own_words(error: exceptions.APIException) -> str:
    """What the error says, unless it is the framework's own standing sentence."""
    standing = {401, 404}
    wait = getattr(error, "wait", None)
    if wait and not isinstance(error, TooMany):
        return f"This caller sent too many requests. Go on in {int(wait) + 1} seconds."
    is_standing = error.status_code in standing and error.detail == type(error).default_detail
    return "" if is_standing else str(error.detail)


def _headers(error: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait) + 1)
    return headers


def _flatten(detail: Any, at: str = "") -> dict[str, str]:
    """Serializer errors, however nested, as one sentence per field: {"options.host": "..."}."""
    if isinstance(detail, dict):
        parts = [_flatten(value, f"{at}.{key}" if at else str(key)) for key, value in detail.items()]
        return {field: text for part in parts for field, text in part.items()}
    if isinstance(detail, list) and any(isinstance(item, dict) for item in detail):
        return _flatten({str(index): item for index, item in enumerate(detail) if item}, at)
    texts = detail if isinstance(detail, list) else [detail]
    return {at or "non_field_errors": " ".join(str(text) for text in texts)}
