"""What every page shares: times in the project's time zone, and a page for what is not there."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.defaults import page_not_found

from core.accounts import project
from core.lib.errors import NotFound


class ProjectTimeZone:
    """Activates the project's time zone for pages; the API speaks UTC."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(("/api/", "/static/", "/healthz", "/readyz")):
            return self.get_response(request)
        with timezone.override(project.current().time_zone):
            return self.get_response(request)


class NotFoundPages:
    """What the domain does not find is a 404 page; the API answers in its own shape before this is asked."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Called by Django when a view raises."""
        return page_not_found(request, error) if isinstance(error, NotFound) else None
