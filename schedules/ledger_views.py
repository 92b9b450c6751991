"""The page of an export's ledger, and sending the people who are chosen there again."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_POST

from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.lib.errors import InvalidInput
from core.ui.forms import actor_of, telling
from core.ui.pages import PAGE_SIZE, answer, read_guid
from schedules import again, ledger_pages
from schedules.again import Selection
from schedules.models import Direction, Schedule

_LONGEST_SEARCH = 200


@require_GET
@role_required(Role.VIEWER)
def show_ledger(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Everyone the destination has or is owed, by how they stand there."""
    schedule = get_object_or_404(Schedule.objects.select_related("app"), pk=schedule_id, direction=Direction.EXPORT)
    chosen, search = request.GET.get("state", ""), request.GET.get("q", "").strip()[:_LONGEST_SEARCH]
    after = read_guid(request.GET.get("after"))
    found = ledger_pages.read_rows(schedule, chosen=chosen, search=search, after=after, limit=PAGE_SIZE + 1)
    rows = found[:PAGE_SIZE]
    counted = ledger_pages.count_rows(schedule)
    words = [("", gettext("Everyone")), *((key, word) for key, (word, _) in ledger_pages.FILTERS.items())]
    context = {
        "schedule": schedule,
        "rows": rows,
        "state": chosen,
        "search": search,
        "tabs": [(key, word, counted.parts.get(key) if key else counted.all) for key, word in words],
        "is_exact": counted.exact,
        "next_after": rows[-1].record.profile_id if len(found) > PAGE_SIZE else None,
        "is_later_page": after is not None,
    }
    return answer(request, "schedules/ledger.html", "schedules/_ledger.html", context)


@require_POST
@role_required(Role.EDITOR)
def send_chosen_again(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Send the people with these `ids` again."""
    to = reverse("schedules:ledger", args=[schedule_id])
    with telling(request):
        ids = [guid for text in request.POST.getlist("ids") if (guid := read_guid(text))]
        if not ids:
            raise InvalidInput(gettext("Choose the people to send again."))
        run = again.start(schedule_id, Selection(profiles=ids), actor=actor_of(request))
        to = reverse("runs:show", args=[run.pk])
        messages.success(request, gettext("They are sent again."))
    return redirect(to)
