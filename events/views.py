"""The list of events."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.ui.counting import Question, count
from core.ui.pages import PAGE_SIZE, answer, read_guid, wants_fragment
from events import pages
from events.models import EventState


@require_GET
@role_required(Role.VIEWER)
def list_events(request: HttpRequest) -> HttpResponse:
    """Events, the newest first. While its first page is open it asks for newer ones; 204 when there are none."""
    filters = pages.read_filters(request.GET.dict())
    before = read_guid(request.GET.get("before"))
    try:
        found, is_slow = pages.find(filters, before=before, limit=PAGE_SIZE + 1), False
    except pages.TooSlow:
        found, is_slow = [], True
    events, waiting = found[:PAGE_SIZE], count({"waiting": Question("inbox")})["waiting"]
    stamp = f"{events[0].pk if events else ''}.{waiting.all}"
    if request.GET.get("seen") == stamp and wants_fragment(request):
        return HttpResponse(status=204)
    is_paused = bool(request.GET.get("paused"))
    context: dict[str, Any] = {
        "rows": pages.show(events),
        "filters": filters,
        "is_slow": is_slow,
        "waiting": waiting,
        "stamp": stamp,
        "is_paused": is_paused,
        "listens": not is_paused and before is None and not is_slow,
        "next_before": events[-1].pk if len(found) > PAGE_SIZE else None,
        "is_later_page": before is not None,
        "endpoint": request.build_absolute_uri("/api/v1/events/"),
    }
    if not wants_fragment(request):
        context |= {"types": pages.recent_types(), "states": EventState.choices, "spans": _spans()}
        context["here"] = reverse("events:list")
    return answer(request, "events/list.html", "events/_table.html", context)


def _spans() -> list[tuple[str, str]]:
    return [(key, label) for key, (label, _) in pages.SPANS.items()]
