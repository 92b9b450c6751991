"""The page of one event."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.views.decorators.http import require_GET

from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.ui.pages import STOP_POLLING, answer, wants_fragment
from events import pages as list_pages
from events.models import Event
from pipeline import event_pages


@require_GET
@role_required(Role.VIEWER)
def show_event(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """One event. One that still waits looks again by itself until it is processed."""
    event = Event.objects.filter(pk=event_id).first()
    if event is None:
        waiting = list_pages.find_waiting(event_id)
        if waiting is None:
            raise Http404(gettext("There is no such event. It may be older than the time events are kept."))
        context = {"event": waiting, "is_waiting": True, "steps": event_pages.waiting_steps(waiting)}
        return answer(request, "events/detail.html", "events/_detail.html", context)
    shown = event_pages.show(event)
    context = {"event": event, "shown": shown, "steps": shown.steps, "state": list_pages.word_of(event)}
    context["look"] = "warn" if event.error and event.state == "processed" else list_pages.LOOKS[event.state]
    status = STOP_POLLING if wants_fragment(request) else 200
    return answer(request, "events/detail.html", "events/_detail.html", context, status=status)
