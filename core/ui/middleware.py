"""People see times in the project's time zone."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from core.accounts import project


class ProjectTimeZone:
    """Activates the project's time zone for pages; the API speaks UTC."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(("/api/", "/static/", "/healthz", "/readyz")):
            return self.get_response(request)
        with timezone.override(project.current().time_zone):
            return self.get_response(request)
