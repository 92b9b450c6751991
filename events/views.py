"""The list of events."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_GET, require_POST

from core.accounts.models import Role
from core.accounts.permissions import has_role, role_required
from core.lib import uuid7
from core.ui.forms import actor_of
from core.ui.pages import PAGE_SIZE, STOP_POLLING, answer, read_guid, wants_fragment
from core.ui.remembering import remembers
from core.ui.wording import counted
from core.work.models import UNFINISHED, Work
from events import over_time, pages
from events.inbox import count_waiting
from events.models import EventState
from events.replay import MOST, RELINK, replay
from profiles.queries import rules_in_use

_MOST_WAITING = 10_000  # counted; beyond that the page says “more than”


@require_GET
@role_required(Role.VIEWER)
@remembers("type", "state", "span")
def list_events(request: HttpRequest) -> HttpResponse:
    """Events, the newest first. While its first page is open it asks for newer ones; 204 when there are none."""
    rules = rules_in_use()
    filters = pages.read_filters(request.GET.dict(), rules)
    before = read_guid(request.GET.get("before"))
    try:
        looked, is_slow = pages.find(filters, before=before, limit=PAGE_SIZE + 1), False
    except pages.TooSlow:
        looked, is_slow = pages.Found([]), True
    found = looked.events
    events, waiting = found[:PAGE_SIZE], count_waiting(most=_MOST_WAITING + 1)
    stamp = f"{events[0].pk if events else ''}.{waiting}"
    if request.GET.get("seen") == stamp and wants_fragment(request):
        return HttpResponse(status=204)
    is_paused = bool(request.GET.get("paused"))
    context: dict[str, Any] = {
        "rows": pages.show(events, rules),
        "filters": filters,
        "is_slow": is_slow,
        "waiting": min(waiting, _MOST_WAITING),
        "more_wait": waiting > _MOST_WAITING,
        "stamp": stamp,
        "is_paused": is_paused,
        "listens": not is_paused and before is None and not is_slow,
        "next_before": events[-1].pk if len(found) > PAGE_SIZE else None,
        "looked_to": looked.looked_to,
        "looked_back": uuid7.time_of(looked.looked_to) if looked.looked_to else None,
        "may_replay": filters.are_set and has_role(request.user, Role.EDITOR),
        "is_later_page": before is not None,
        "endpoint": request.build_absolute_uri("/api/v1/events/"),
    }
    if not wants_fragment(request):
        context |= {"types": pages.recent_types(), "states": EventState.choices, "spans": _spans()}
        context["here"] = reverse("events:list")
        by_day = request.GET.get("over") == over_time.BY_DAY
        context |= {"chart": over_time.chart(timezone.now(), by_day=by_day), "by_day": by_day}
        context["again"] = _being_taken_again()
    return answer(request, "events/list.html", "events/_table.html", context)


@require_GET
@role_required(Role.VIEWER)
def show_progress(request: HttpRequest) -> HttpResponse:
    """How far taking events again has come that found nobody; htmx asks no more once it has ended."""
    again = _being_taken_again()
    return render(request, "events/_again.html", {"again": again}, status=200 if again else STOP_POLLING)


@require_POST
@role_required(Role.EDITOR)
def replay_events(request: HttpRequest) -> HttpResponse:
    """Take one event again, or those that the list's filters pick, the newest first, up to a limit."""
    one = read_guid(request.POST.get("event"))
    try:
        filters = pages.read_filters(request.POST.dict(), rules_in_use())
        ids = [one] if one else [event.pk for event in pages.find(filters, before=None, limit=MOST).events]
    except pages.TooSlow:
        messages.error(request, gettext("Looking through all events for this takes too long. Choose a shorter time."))
        return redirect("events:list")
    count = replay(ids, actor=actor_of(request))
    if count:
        messages.success(
            request,
            counted(
                ngettext(
                    "%(count)s event will be taken again, in the order they came.",
                    "%(count)s events will be taken again, in the order they came.",
                    count,
                ),
                count,
            ),
        )
    else:
        messages.error(
            request, gettext("None of these can be taken again: rows of a run come again with their schedule.")
        )
    return redirect("events:show", one) if one else redirect("events:list")


def _being_taken_again() -> list[Work]:
    return list(Work.objects.filter(kind=RELINK, state__in=UNFINISHED).order_by("id"))


def _spans() -> list[tuple[str, str]]:
    return [(key, str(label)) for key, (label, _) in pages.SPANS.items()]
