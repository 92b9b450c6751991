"""The page of a plan, and its buttons: work one out, send exactly it, discard it."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_GET, require_POST

from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.ui.forms import actor_of, telling
from core.ui.pages import PAGE_SIZE, answer, read_guid
from core.ui.wording import counted
from schedules import pages, plan_pages, plans
from schedules.models import SentKind

_LONGEST_SEARCH = 200


@require_POST
@role_required(Role.EDITOR)
def dry_run(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Work out what a run would send."""
    to = reverse("schedules:show", args=[schedule_id])
    with telling(request):
        run = plans.start(schedule_id, actor=actor_of(request))
        to = reverse("runs:show", args=[run.pk])
    return redirect(to)


@require_GET
@role_required(Role.VIEWER)
def show_plan(request: HttpRequest, run_id: int) -> HttpResponse:
    """What would be created, updated and removed: in numbers, and every row."""
    plan = plans.find(run_id)
    kind, search = _read_filters(request)
    after = read_guid(request.GET.get("after"))
    page = plans.PlanPage([], None)
    if plan.is_current:
        page = plans.read_page(plan, kind=kind, search=search, after=after, limit=PAGE_SIZE)
    context = {
        "plan": plan,
        "run": plan.run,
        "schedule": plan.run.schedule,
        "rhythm": pages.rhythm(plan.run.schedule),
        "guard": plan_pages.show_guard(plan),
        "rows": plan_pages.show_rows(plan.run.schedule, page.rows),
        "kind": kind,
        "search": search,
        "tabs": [("", gettext("All"), plan.all), *((each.value, each.label, count) for each, count in plan.by_kind)],
        "next_after": page.following,
        "looked_at": plans.LOOKED_AT if page.is_cut else None,
        "is_later_page": after is not None,
    }
    return answer(request, "runs/plan.html", "runs/_plan_rows.html", context)


@require_GET
@role_required(Role.VIEWER)
def download_plan(request: HttpRequest, run_id: int) -> HttpResponseBase:
    """Every row as a CSV, or those that are shown."""
    plan = plans.find(run_id)
    if not plan.is_current:
        messages.error(request, gettext("This plan is out of date: start a new dry run."))
        return redirect("runs:plan", run_id)
    kind, search = _read_filters(request)
    lines = plans.stream_csv(plan, kind=kind, search=search)
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="plan-of-run-{run_id}.csv"'
    return response


@require_POST
@role_required(Role.EDITOR)
def send_plan(request: HttpRequest, run_id: int) -> HttpResponse:
    """Send exactly what was shown."""
    to = reverse("runs:plan", args=[run_id])
    with telling(request):
        run = plans.send(run_id, actor=actor_of(request))
        to = reverse("runs:show", args=[run.pk])
        messages.success(request, gettext("The plan is being sent, and nothing else."))
    return redirect(to)


@require_POST
@role_required(Role.EDITOR)
def discard_plan(request: HttpRequest, run_id: int) -> HttpResponse:
    """Send nothing of it."""
    to = reverse("runs:plan", args=[run_id])
    with telling(request):
        plan = plans.discard(run_id, actor=actor_of(request))
        to = reverse("schedules:show", args=[plan.run.schedule_id])
        rows = counted(ngettext("%(count)s row", "%(count)s rows", plan.all), plan.all)
        messages.success(
            request,
            gettext("The plan of %(rows)s was discarded. The next run works out anew what to send.") % {"rows": rows},
        )
    return redirect(to)


def _read_filters(request: HttpRequest) -> tuple[str, str]:
    kind = request.GET.get("kind", "")
    return kind if kind in SentKind.values else "", request.GET.get("q", "").strip()[:_LONGEST_SEARCH]
