"""How many requests one caller may send in a minute: `API_REQUESTS_PER_MINUTE`, over all processes; 0 means no limit.

Each key and each person has a limit of their own. Who brings neither is refused anyway, before this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from core.accounts.models import ApiKey
from core.lib import rates

if TYPE_CHECKING:  # the framework's views import this module by its settings
    from rest_framework.views import APIView

WINDOW_SECONDS = 60


class PerCaller(BaseThrottle):
    """Counts requests in windows of a minute; while Redis is away everyone passes."""

    def __init__(self) -> None:
        self.seconds_left = 0.0

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Whether this request is within the limit."""
        most: int = settings.API_REQUESTS_PER_MINUTE
        if not most:
            return True
        caller = f"key:{request.auth.pk}" if isinstance(request.auth, ApiKey) else f"person:{request.user.pk}"
        counted = rates.count(f"api:{caller}", seconds=WINDOW_SECONDS)
        if counted is None:
            return True
        times, self.seconds_left = counted
        return times <= most

    def wait(self) -> float | None:
        """Seconds until the next window, for Retry-After."""
        return self.seconds_left
