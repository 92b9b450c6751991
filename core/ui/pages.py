"""A page answers htmx with its fragment alone, and everyone else with the whole page around the same fragment."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django_htmx.middleware import HtmxDetails

PAGE_SIZE = 25
STOP_POLLING = 286  # the status that makes htmx ask no more


def answer(
    request: HttpRequest, page: str, fragment: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Render `fragment` for htmx, `page` (which includes it) otherwise."""
    response = render(request, fragment if wants_fragment(request) else page, context, status=status)
    response["Vary"] = "HX-Request"
    return response


def wants_fragment(request: HttpRequest) -> bool:
    """Whether htmx asks for a piece of a page. Going back in history asks for the whole."""
    htmx: HtmxDetails | None = getattr(request, "htmx", None)
    return htmx is not None and bool(htmx) and not htmx.history_restore_request


def read_guid(text: str | None) -> UUID | None:
    """A guid from a query string; None for anything else, so that a mangled address shows the first page."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def read_place(text: str | None) -> tuple[datetime, int] | None:
    """A place in a log, written by `write_place`; None for anything else."""
    at, _, id_ = (text or "").rpartition("_")
    try:
        return datetime.fromisoformat(at), int(id_)
    except ValueError:
        return None


def write_place(at: datetime, id_: int) -> str:
    """A place in a log as a query string's value."""
    return f"{at.isoformat()}_{id_}"
