"""What pages share: the note of a session's use, the viewer's formats and language, a page for what is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.utils import timezone, translation
from django.views.defaults import page_not_found

from core.accounts import project, sessions, two_factor
from core.accounts.models import NumberFormat
from core.lib.errors import NotFound
from core.ui import number_formats
from core.ui.attempts import find_address

GetResponse = Callable[[HttpRequest], HttpResponseBase]
Ways = AbstractContextManager[None]

_PROGRAMS = ("/api/", "/v1/", "/hooks/", "/static/", "/healthz", "/readyz")
_PAGE_BELOW_API = "/api/v1/docs/"


class SessionUse:
    """Notes where and when someone's session is used. Costs nothing where a request does not look at its session."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.session.accessed and request.user.is_authenticated:
            agent = request.headers.get("User-Agent", "")
            sessions.note_use(request.session, address=find_address(request), agent=agent)
        return response


class SecondFactorFirst:
    """Whoever has to set up a second factor sees that page, and may sign out; the API refuses them itself."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: object, kwargs: object
    ) -> HttpResponse | None:
        """Called by Django before a view."""
        match = request.resolver_match
        is_open = not getattr(view, "login_required", True)
        if is_open or match is None or match.namespace == "two_factor" or match.view_name == "accounts:logout":
            return None
        return redirect("two_factor:show") if two_factor.is_owed(request.session) else None


class ViewersFormats:
    """Activates for pages the time zone that the viewer chose, else the project's, and how they write numbers.

    The API speaks UTC.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path.startswith(("/api/", "/static/", "/healthz", "/readyz")):
            return self.get_response(request)
        viewer = request.user if request.session.session_key else None
        chosen = getattr(viewer, "time_zone", "")
        zone = ZoneInfo(chosen) if chosen else project.current().time_zone
        numbers = getattr(viewer, "number_format", NumberFormat.COMMA_POINT)
        return _answer(request, self.get_response, ways=lambda: _formats(zone, numbers))


class ViewersLanguage:
    """Activates for pages the language that the viewer's browser asks for, if there is it; programs read English."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path.startswith(_PROGRAMS) and request.path != _PAGE_BELOW_API:
            return self.get_response(request)
        language = translation.get_language_from_request(request)
        return _answer(request, self.get_response, ways=lambda: translation.override(language))


@contextmanager
def _formats(zone: ZoneInfo, numbers: str) -> Iterator[None]:
    with timezone.override(zone), number_formats.override(numbers):
        yield


def _answer(request: HttpRequest, get_response: GetResponse, *, ways: Callable[[], Ways]) -> HttpResponseBase:
    """The answer in the viewer's ways; what is streamed is made after a middleware has returned, and keeps them."""
    with ways():
        response = get_response(request)
    if isinstance(response, StreamingHttpResponse) and isinstance(lines := response.streaming_content, Iterator):
        response.streaming_content = _keep(ways, lines)
    return response


def _keep(ways: Callable[[], Ways], lines: Iterable[bytes]) -> Iterator[bytes]:
    with ways():
        yield from lines


class NotFoundPages:
    """What the domain does not find is a 404 page; the API answers in its own shape before this is asked."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Called by Django when a view raises."""
        return page_not_found(request, error) if isinstance(error, NotFound) else None
