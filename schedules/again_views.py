"""The page that sends again what a destination has or refused, and the same for one person."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from core.accounts import project
from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.ui.forms import actor_of, render_form, telling, told
from core.ui.pages import PAGE_SIZE, answer, read_place, write_place
from core.ui.wording import counted
from profiles import queries
from profiles.models import Profile
from schedules import again, pages, sent_pages
from schedules.again import Selection
from schedules.again_forms import AgainForm
from schedules.models import Direction, Schedule


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def send_again(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Choose what is sent again, see how many that are, then send."""
    schedule = get_object_or_404(Schedule.objects.select_related("app"), pk=schedule_id, direction=Direction.EXPORT)
    form, count = AgainForm(request.POST or None), None
    if request.method == "POST" and form.is_valid():
        with form.catching():
            selection = form.read_selection()
            if "count" in request.POST:
                count = again.count(schedule_id, selection)
            else:
                run = again.start(schedule_id, selection, actor=actor_of(request))
                return told(request, gettext("It is sent again."), to=reverse("runs:show", args=[run.pk]))
    back = reverse("schedules:show", args=[schedule_id])
    context = {"form": form, "schedule": schedule, "count": count, "cancel": back}
    return render_form(request, "schedules/again.html", context)


@require_POST
@role_required(Role.EDITOR)
def send_person_again(request: HttpRequest, schedule_id: int, guid: UUID) -> HttpResponse:
    """Send one person again, from their page."""
    with telling(request):
        run = again.start(schedule_id, Selection(profiles=[guid]), actor=actor_of(request))
        messages.success(request, gettext("Run %(run)s sends this person again.") % {"run": run.pk})
    return redirect("schedules:sent", guid)


@require_GET
@role_required(Role.VIEWER)
def show_sent(request: HttpRequest, guid: UUID) -> HttpResponse:
    """Everything that exports sent of one person, and what was answered."""
    profile = get_object_or_404(Profile, pk=guid)
    before = read_place(request.GET.get("before"))
    found = sent_pages.of_profile(guid, before=before, limit=PAGE_SIZE + 1)
    rows = found[:PAGE_SIZE]
    days = project.current().log_retention_days
    last = rows[-1].entry if len(found) > PAGE_SIZE else None
    context = {
        "person": queries.name_people([profile], queries.rules_in_use())[0],
        "guid": guid,
        "records": pages.exports_of_profile(guid),
        "rows": rows,
        "next_before": write_place(last.at, last.id) if last else None,
        "is_later_page": before is not None,
        "kept": counted(ngettext("%(count)s day", "%(count)s days", days), days),
    }
    return answer(request, "schedules/sent.html", "schedules/_sent.html", context)
