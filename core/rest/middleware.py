"""A request id for every request, and the one error shape for what fails before or beside an endpoint.

Endpoints answer their own errors by `core.rest.errors.answer_error`. What never reaches one (an unknown address, a host
that is not allowed, a failure in another middleware) is answered by Django as a page; below /api/ that becomes JSON.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

from core.lib import request_ids
from core.rest.errors import error_body

_API_ROOT = "/api/"
_HEADER = "X-Request-ID"
_KEPT_HEADERS = (
    *("Allow", "Retry-After", "WWW-Authenticate"),
    *("Content-Security-Policy", "Cross-Origin-Opener-Policy", "Referrer-Policy", "Strict-Transport-Security"),
    *("X-Content-Type-Options", "X-Frame-Options"),
)


class RequestIdMiddleware:
    """Gives each request an id, sent back in a header and named in errors and logs."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id = request_ids.begin(request.headers.get(_HEADER))
        response = self.get_response(request)
        response[_HEADER] = request_id
        return response


class ApiErrorMiddleware:
    """Turns error pages below /api/ into the one error shape."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.status_code < 400 or not request.path.startswith(_API_ROOT) or _is_json(response):
            return response
        return _as_json(response)


def _is_json(response: HttpResponseBase) -> bool:
    return response.get("Content-Type", "").startswith("application/json")


def _as_json(response: HttpResponseBase) -> HttpResponse:
    answer = JsonResponse(error_body(response.status_code), status=response.status_code)
    for header in _KEPT_HEADERS:
        if header in response:
            answer[header] = response[header]
    response.close()
    return answer
