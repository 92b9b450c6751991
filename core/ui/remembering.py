"""A list comes back as it was left: its filters and its order are kept in the browser until it is closed.

    @remembers("direction", "state")          # below role_required; `sort` is always among them
    def list_runs(request): ...

A plain link to the list leads to the address it had last; `?clear=1` forgets it. The address says what one sees,
always: nothing is applied that does not stand in it. Kept in a cookie that is sent to this list alone, so that it costs
no statement. What people type (names, addresses) is never kept.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict

from core.ui.pages import wants_fragment

COOKIE = "list_"
PLACES = frozenset({"before", "page", "seen"})  # where one is in a list, not what one asked of it

View = Callable[..., HttpResponse]


def remembers(*names: str) -> Callable[[View], View]:
    """Decorate the view of a list; `names` are its parameters that are kept besides `sort`."""
    kept = (*names, "sort")

    def decorate(view: View) -> View:
        @wraps(view)
        def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if "clear" in request.GET:
                return _forget(HttpResponseRedirect(request.path), request)
            last = _pick(QueryDict(request.COOKIES.get(_cookie(request), "")), kept)
            if not request.GET and last and not wants_fragment(request):
                return HttpResponseRedirect(f"{request.path}?{last}")
            response = view(request, *args, **kwargs)
            if request.GET.keys() <= {*kept, *PLACES} and request.GET:
                _keep(response, request, _pick(request.GET, kept))
            return response

        return shown

    return decorate


def is_narrowed(query: QueryDict) -> bool:
    """Whether anything was asked of a list: a filter, a search, an order."""
    return any(value for name, value in query.items() if name not in PLACES)


def _cookie(request: HttpRequest) -> str:
    """Such as "list_outbound-events"."""
    return f"{COOKIE}{request.path.strip('/').replace('/', '_')}"


def _pick(query: QueryDict, names: tuple[str, ...]) -> str:
    return urlencode([(name, query[name]) for name in names if query.get(name)])


def _keep(response: HttpResponse, request: HttpRequest, query: str) -> None:
    if not query:
        _forget(response, request)
    elif query != request.COOKIES.get(_cookie(request)):
        secure = request.is_secure()
        response.set_cookie(_cookie(request), query, path=request.path, httponly=True, samesite="Lax", secure=secure)


def _forget(response: HttpResponse, request: HttpRequest) -> HttpResponse:
    if _cookie(request) in request.COOKIES:
        response.delete_cookie(_cookie(request), path=request.path, samesite="Lax")
    return response
