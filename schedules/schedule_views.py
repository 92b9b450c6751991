"""The page of one schedule, and its buttons: run now, switch, resume, delete."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.ui.counting import Count, count
from core.ui.counting import Question as Counted
from core.ui.forms import Question, actor_of, confirmed, telling, told
from core.ui.pages import STOP_POLLING, answer, wants_fragment
from core.ui.wording import counted, number
from schedules import deletions, guard, pages, plans, run_charts, runs, schedules_store
from schedules.models import Direction, Run, Schedule

RECENT_RUNS = 5
_WORTH_WAITING = timedelta(minutes=1)
_OWN_OPTIONS = frozenset(
    {"table", "query", "path", "id_column", "changed_column", "may_create", "look_for_deleted", "key_field"}
)


@require_GET
@role_required(Role.VIEWER)
def show_schedule(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """What it does, in words and in its mapping; its latest runs; what may be done with it."""
    schedule = get_object_or_404(Schedule.objects.select_related("app"), pk=schedule_id)
    groups = list(schedule.groups.select_related("group").order_by("name"))
    latest = list(pages.runs(schedule=schedule.pk)[: run_charts.MOST_RUNS + 1])
    recent = [pages.show(run) for run in latest[:RECENT_RUNS]]
    running = next((each for each in recent if not each.is_finished), None)
    context = {
        "schedule": schedule,
        "what": pages.describe_schedule(schedule, [each.group.name for each in groups]),
        "rhythm": pages.rhythm(schedule),
        "fields": list(schedule.fields.select_related("rule").order_by("id")),
        "groups": groups,
        "others": {key: value for key, value in schedule.options.items() if key not in _OWN_OPTIONS and value},
        "may_create": schedule.options.get("may_create", True),
        "runs": recent,
        "charts": run_charts.of_schedule(schedule, latest),
        "running": running,
        "begins": _begins_soon(schedule, recent, now=timezone.now()) if running is None else False,
        "deleting": deletions.work_of(recent[0].run) if recent else None,
        "held": _count_held(schedule) if schedule.direction == Direction.EXPORT else None,
        "plan": _plan_that_halted(schedule, recent),
        "guard_share": guard.share_of(schedule),
        "is_by_upload": schedule.direction == Direction.IMPORT and not _names_source(schedule),
    }
    goes_on = bool(running or context["begins"] or context["deleting"])
    status = 200 if goes_on or not wants_fragment(request) else STOP_POLLING
    return answer(request, "schedules/detail.html", "schedules/_now.html", context, status=status)


@require_POST
@role_required(Role.EDITOR)
def run_now(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Start a run, and go to its page."""
    actor, to = actor_of(request), reverse("schedules:show", args=[schedule_id])
    with telling(request):
        run = runs.start_run(schedule_id, trigger=actor.cause, actor=actor)
        to = reverse("runs:show", args=[run.pk])
        messages.success(request, gettext("The run starts."))
    return redirect(to)


@require_POST
@role_required(Role.EDITOR)
def switch(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """On or off, as the button said."""
    is_on = request.POST.get("enabled") == "on"
    with telling(request):
        schedule = schedules_store.set_enabled(schedule_id, is_on, actor=actor_of(request))
        if is_on:
            text = gettext("“%(schedule)s” runs by itself again.")
        else:
            text = gettext("“%(schedule)s” starts no run by itself any more.")
        messages.success(request, text % {"schedule": schedule})
    return redirect("schedules:show", schedule_id)


@require_POST
@role_required(Role.EDITOR)
def resume(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """What halted it is mended."""
    with telling(request):
        schedules_store.resume(schedule_id, actor=actor_of(request))
        messages.success(request, gettext("It goes on."))
    return redirect("schedules:show", schedule_id)


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def delete(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Ask, with what follows in numbers; then delete."""
    schedule = get_object_or_404(Schedule, pk=schedule_id)
    past = Run.objects.filter(schedule=schedule).count()
    consequences = [gettext("It never ran.")]
    if past:
        text = ngettext(
            "Its %(count)s run and their figures go with it.", "Its %(count)s runs and their figures go with it.", past
        )
        consequences = [counted(text, past)]
    if schedule.direction == Direction.IMPORT:
        consequences.append(gettext("The profiles and events that came of it stay as they are."))
    else:
        held = count({"held": Counted("export_record where schedule_id = %s and key is not null", [schedule.pk])})
        many = held["held"].all
        if many:
            text = ngettext(
                "%(count)s person stays at the destination.", "%(count)s people stay at the destination.", many
            )
            consequences.append(text % {"count": number(many)})
        consequences.append(gettext("Nothing is removed there; what was still owed is not sent any more."))

    def act() -> HttpResponse:
        schedules_store.delete_schedule(schedule_id, actor=actor_of(request))
        return told(
            request, gettext("“%(schedule)s” was deleted.") % {"schedule": schedule}, to=reverse("schedules:list")
        )

    back = reverse("schedules:show", args=[schedule_id])
    return confirmed(
        request,
        Question(
            gettext("Delete “%(schedule)s”?") % {"schedule": schedule}, consequences, gettext("Delete schedule"), back
        ),
        act,
    )


@require_POST
@role_required(Role.EDITOR)
def stop_run(request: HttpRequest, run_id: int) -> HttpResponse:
    """Ask a run to stop at its next page or batch."""
    with telling(request):
        runs.stop_run(run_id, actor=actor_of(request))
        messages.success(request, gettext("It stops after the page it works on."))
    return redirect("runs:show", run_id)


@require_POST
@role_required(Role.EDITOR)
def retry_run(request: HttpRequest, run_id: int) -> HttpResponse:
    """Start a new run that goes on where this one was."""
    to = run_id
    with telling(request):
        to = runs.retry_run(run_id, actor=actor_of(request)).pk
        messages.success(request, gettext("It goes on where run %(run_id)s was.") % {"run_id": run_id})
    return redirect("runs:show", to)


def _begins_soon(schedule: Schedule, recent: Sequence[pages.ShownRun], *, now: datetime) -> bool:
    """Whether its first run is only a sweep away, so that it is worth waiting for."""
    return bool(
        not recent
        and schedule.enabled
        and not schedule.halted_reason
        and schedule.next_at is not None
        and now - _WORTH_WAITING <= schedule.next_at <= now + _WORTH_WAITING
    )


def _count_held(schedule: Schedule) -> Count:
    states = {
        "there": "count(*) filter (where key is not null)",
        "owed": "count(*) filter (where state in ('owed', 'sent'))",
        "rejected": "count(*) filter (where state = 'rejected')",
    }
    return count({"held": Counted("export_record where schedule_id = %s", [schedule.pk], states)})["held"]


def _plan_that_halted(schedule: Schedule, recent: Sequence[pages.ShownRun]) -> plans.Plan | None:
    """The plan that waits for a decision, where the guard stopped the last run."""
    plan = plans.of_run(recent[0].run) if recent and schedule.halted_reason else None
    return plan if plan is not None and plan.is_current else None


def _names_source(schedule: Schedule) -> bool:
    return any(schedule.options.get(name) for name in ("table", "query", "path"))
