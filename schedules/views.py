"""The pages of schedules and runs, and what they show on the pages of profiles, groups and Apps."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET

from apps_connectors.queries import get_app
from core.accounts.models import Role
from core.accounts.permissions import has_role, role_required
from core.ui import notices
from core.ui.pages import PAGE_SIZE, STOP_POLLING, answer, wants_fragment
from core.ui.remembering import remembers
from core.ui.sorting import arrange, part_of, read_sort
from schedules import outcomes, pages, plans, rejects, runs
from schedules.models import Direction, RunState, Schedule


@require_GET
@role_required(Role.VIEWER)
@remembers("direction", "state")
def list_runs(request: HttpRequest) -> HttpResponse:
    """Every run, the newest first, or by how long it took or how much was rejected."""
    direction, state = request.GET.get("direction", ""), request.GET.get("state", "")
    schedule = _number(request.GET.get("schedule", ""))
    found = pages.runs(direction=direction, state=state, schedule=schedule)
    before = _number(request.GET.get("before", ""))
    sort = read_sort(request, pages.RUN_SORTS, usual="-newest")
    page = pages.page_of_runs(found, sort, before=before, limit=PAGE_SIZE + 1)
    is_filtered = bool(direction or state or schedule)
    context = {
        "runs": [pages.show(run) for run in page[:PAGE_SIZE]],
        "sort": sort,
        "choosing": has_role(request.user, Role.EDITOR),
        "direction": direction,
        "state": state,
        "schedule": Schedule.objects.filter(pk=schedule).first() if schedule else None,
        "directions": Direction.choices,
        "states": RunState.choices,
        "is_filtered": is_filtered,
        "coming": pages.next_schedule() if not page and not is_filtered else None,
        "next_before": page[PAGE_SIZE - 1].pk if len(page) > PAGE_SIZE else None,
        "is_later_page": before is not None,
    }
    return answer(request, "runs/list.html", "runs/_table.html", context)


@require_GET
@role_required(Role.VIEWER)
def show_run(request: HttpRequest, run_id: int) -> HttpResponse:
    """One run: how far it has come, figures that add up, what did not go through."""
    shown = pages.show(get_object_or_404(pages.runs(), pk=run_id))
    parts = pages.add_up(shown)
    is_fragment = wants_fragment(request)
    schedule = shown.run.schedule
    if is_fragment and shown.is_finished:  # they watched it end
        notices.see(request.user.pk, outcomes.subject_of(run_id))
    context = {
        "shown": shown,
        "run": shown.run,
        "schedule": schedule,
        "parts": parts,
        "bar": pages.part_bar(shown, parts),
        "errors": list(shown.run.errors.order_by("-count", "message")),
        "usual": pages.usual_seconds(shown.run),
        "plan": plans.of_run(shown.run),
        "can_retry": shown.run.state in {RunState.FAILED, RunState.STOPPED} and not plans.has_plan(shown.run),
        "has_rejects": shown.is_finished and rejects.can_be_read(shown.run) and runs.has_rejects(shown.run.pk),
    }
    if not is_fragment:
        names = pages.group_names([schedule])
        context["what"] = pages.describe_schedule(schedule, names.get(schedule.pk, []))
        context["rhythm"] = pages.rhythm(schedule)
        context["trigger"] = pages.describe_trigger(shown.run)
    status = STOP_POLLING if is_fragment and shown.is_finished else 200
    return answer(request, "runs/detail.html", "runs/_live.html", context, status=status)


@require_GET
@role_required(Role.VIEWER)
@remembers()
def list_schedules(request: HttpRequest) -> HttpResponse:
    """Every schedule: what it does, how often, how its last run went. Imports before exports, whatever the order."""
    schedules = Schedule.objects.select_related("app").order_by("name")
    sort = read_sort(request, pages.SCHEDULE_SORTS, usual="name")
    rows = arrange(pages.schedule_rows(schedules), sort, pages.SCHEDULE_SORTS)
    rows.sort(key=lambda row: row[0].direction != Direction.IMPORT)
    part = part_of(rows, request)
    context = {
        "imports": [row for row in part.rows if row[0].direction == Direction.IMPORT],
        "exports": [row for row in part.rows if row[0].direction == Direction.EXPORT],
        "sort": sort,
        "part": part,
    }
    return answer(request, "schedules/list.html", "schedules/list.html", context)


@require_GET
@role_required(Role.VIEWER)
def show_exports_of_profile(request: HttpRequest, guid: UUID) -> HttpResponse:
    """Where a profile was sent, for its page."""
    context = {"guid": guid, "records": pages.exports_of_profile(guid)}
    return answer(request, "schedules/of_profile.html", "schedules/_of_profile.html", context)


@require_GET
@role_required(Role.VIEWER)
def show_exports_of_group(request: HttpRequest, group_id: int) -> HttpResponse:
    """The exports that send a group, for its page."""
    links = pages.exports_of_group(group_id)
    last = pages.last_runs([link.schedule for link in links])
    rows = [(link, pages.rhythm(link.schedule), last.get(link.schedule_id)) for link in links]
    return answer(request, "schedules/of_group.html", "schedules/_of_group.html", {"group_id": group_id, "links": rows})


@require_GET
@role_required(Role.VIEWER)
def show_schedules_of_app(request: HttpRequest, app_id: int) -> HttpResponse:
    """The schedules that read from an App or send to it, for its page."""
    mine = Schedule.objects.filter(app_id=app_id).order_by("direction", "name")
    context = {"app": get_app(app_id), "rows": pages.schedule_rows(mine)}
    return answer(request, "schedules/of_app.html", "schedules/_of_app.html", context)


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 18 else None
