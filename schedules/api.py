"""Schedules, runs and uploads over HTTP. See `schedules/api_urls.py` for the addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, cast

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils import timezone
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.lib.errors import InvalidInput, NotFound
from core.rest.auth import actor_of
from core.rest.paging import Pages
from schedules import runs, schedules_store, uploads
from schedules.models import Run, Schedule
from schedules.progress import progress_of
from schedules.schedules_store import ScheduleData

_SCOPES = {"GET": "schedules:read", "POST": "schedules:write", "PATCH": "schedules:write", "DELETE": "schedules:write"}
_KINDS: Mapping[str, tuple[type, ...]] = {
    "direction": (str,),
    "name": (str,),
    "app_id": (int,),
    "options": (dict,),
    "fields": (dict,),
    "groups": (dict,),
    "every_minutes": (int, type(None)),
    "cron": (str,),
    "after_changes": (bool,),
    "enabled": (bool,),
    "mode": (str,),
    "everyone": (bool,),
}


# ---------------------------------------------------------------- schedules


class Schedules(APIView):
    """All schedules; a new one."""

    required_scope = _SCOPES

    def get(self, request: Request) -> Response:
        """A page of them, in the order they were made."""
        found = Schedule.objects.prefetch_related("fields__rule", "groups")
        return _answer_page(self, request, found, ordering="id", show=show_schedule)

    def post(self, request: Request) -> Response:
        """Make one; 201 with it."""
        given = _read_body(request)
        missing = [name for name in ("direction", "name", "app_id") if name not in given]
        if missing:
            raise InvalidInput(f"Give {', '.join(missing)}.", dict.fromkeys(missing, "This is needed."))
        schedule = schedules_store.create_schedule(ScheduleData(**given), actor=actor_of(request))
        return Response(show_schedule(schedule), status=201)


class OneSchedule(APIView):
    """One schedule."""

    required_scope = _SCOPES

    def get(self, request: Request, schedule_id: int) -> Response:
        """As it is."""
        return Response(show_schedule(_find_schedule(schedule_id)))

    def patch(self, request: Request, schedule_id: int) -> Response:
        """Change what is given; the rest stays."""
        data = replace(schedules_store.read_data(_find_schedule(schedule_id)), **_read_body(request))
        return Response(show_schedule(schedules_store.update_schedule(schedule_id, data, actor=actor_of(request))))

    def delete(self, request: Request, schedule_id: int) -> Response:
        """Delete it with its runs."""
        schedules_store.delete_schedule(schedule_id, actor=actor_of(request))
        return Response(status=204)


class RunNow(APIView):
    """Starts a run of one schedule by hand."""

    required_scope = "schedules:write"

    def post(self, request: Request, schedule_id: int) -> Response:
        """201 with the run; 409 while another one is unfinished."""
        actor = actor_of(request)
        return Response(show_run(runs.start_run(schedule_id, trigger=actor.cause, actor=actor)), status=201)


# ---------------------------------------------------------------- runs


class Runs(APIView):
    """The runs of all schedules, or of one by `?schedule=ID`."""

    required_scope = "schedules:read"

    def get(self, request: Request) -> Response:
        """A page of them, the latest first."""
        found = Run.objects.select_related("work", "schedule")
        schedule_id = request.query_params.get("schedule")
        if schedule_id is not None:
            if not schedule_id.isdecimal():
                raise InvalidInput("A schedule is named by its number.", {"schedule": "Give a number."})
            found = found.filter(schedule_id=int(schedule_id[:18]))
        return _answer_page(self, request, found, ordering="-id", show=show_run)


class OneRun(APIView):
    """One run."""

    required_scope = "schedules:read"

    def get(self, request: Request, run_id: int) -> Response:
        """With its progress, and its errors grouped by message."""
        run = _find_run(run_id)
        errors = run.errors.order_by("-count", "message").values("message", "count", "examples")
        return Response({**show_run(run), "errors": list(errors)})


class StopRun(APIView):
    """Asks one run to stop."""

    required_scope = "schedules:write"

    def post(self, request: Request, run_id: int) -> Response:
        """202: it stops at its next page or batch; 409 when it has ended."""
        runs.stop_run(run_id, actor=actor_of(request))
        return Response(show_run(_find_run(run_id)), status=202)


class RetryRun(APIView):
    """Starts a new run where a failed or stopped one ended."""

    required_scope = "schedules:write"

    def post(self, request: Request, run_id: int) -> Response:
        """201 with the new run."""
        return Response(show_run(runs.retry_run(run_id, actor=actor_of(request))), status=201)


# ---------------------------------------------------------------- uploads


class Uploads(APIView):
    """Takes CSV files as `multipart/form-data`: `file`, and `app` with the name of the App that takes it."""

    required_scope = "schedules:write"
    parser_classes = [MultiPartParser]

    def post(self, request: Request) -> Response:
        """201 with the run that imports the file; its address tells how far it is."""
        file, app = request.FILES.get("file"), cast("QueryDict", request.data).get("app")
        if file is None:
            raise InvalidInput("Send the CSV as the part “file” of multipart/form-data.", {"file": "This is needed."})
        if not isinstance(app, str) or not app.strip():
            raise InvalidInput("Send the name of the App that takes the file as “app”.", {"app": "This is needed."})
        run = uploads.start_upload(app, file, name=file.name or "upload.csv", actor=actor_of(request))
        return Response(show_run(run), status=201)


# ---------------------------------------------------------------- how they are shown and read


def show_schedule(schedule: Schedule) -> dict[str, Any]:
    """A schedule as the API answers it."""
    return {
        "id": schedule.pk,
        "direction": schedule.direction,
        "name": schedule.name,
        "app_id": schedule.app_id,
        "options": schedule.options,
        "fields": {field.field: field.rule.key for field in schedule.fields.all()},
        "groups": {str(group.group_id): group.name for group in schedule.groups.all()},
        "every_minutes": schedule.every_minutes,
        "cron": schedule.cron,
        "after_changes": schedule.after_changes,
        "enabled": schedule.enabled,
        "mode": schedule.mode,
        "everyone": schedule.everyone,
        "next_at": schedule.next_at,
        "halted_reason": schedule.halted_reason,
        "created_at": schedule.created_at,
        "updated_at": schedule.updated_at,
    }


def show_run(run: Run) -> dict[str, Any]:
    """A run as the API answers it, without its errors."""
    progress = progress_of(run, now=timezone.now())
    return {
        "id": run.pk,
        "schedule_id": run.schedule_id,
        "schedule": run.schedule.name,
        "direction": run.direction,
        "state": run.state,
        "trigger": run.trigger,
        "file": run.options.get("file"),
        "counters": run.counters,
        "percent": progress.percent,
        "per_second": progress.rate,
        "seconds_left": progress.seconds_left,
        "notes": run.notes,
        "error": run.error,
        "last_problem": run.work.error,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
    }


def _read_body(request: Request) -> dict[str, Any]:
    """The fields of `ScheduleData` in the body, each of the right kind."""
    body = request.data
    if not isinstance(body, dict):
        raise InvalidInput("Send an object with the parts of a schedule.")
    known = {field.name for field in fields(ScheduleData)}
    problems = {}
    for name, value in body.items():
        kinds = _KINDS.get(name, ())
        if name not in known:
            problems[name] = f"There is no such part. There are: {', '.join(sorted(known))}."
        elif not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            problems[name] = "This is of the wrong kind."
    for name in ("fields", "groups"):
        part = body.get(name)
        if isinstance(part, dict) and not all(isinstance(value, str) for value in part.values()):
            problems[name] = "Each value has to be text."
    groups = body.get("groups")
    if isinstance(groups, dict) and not all(key.isdecimal() and len(key) < 19 for key in groups):
        problems["groups"] = "Name each group by its number."
    if problems:
        raise InvalidInput(" ".join(f"{name}: {reason}" for name, reason in problems.items()), problems)
    given = dict(body)
    if "groups" in given:
        given["groups"] = {int(key): name for key, name in given["groups"].items()}
    return given


def _answer_page(view: APIView, request: Request, found: QuerySet[Any], *, ordering: str, show: Any) -> Response:
    pages = Pages()
    pages.ordering = ordering
    rows = pages.paginate_queryset(found, request, view=view) or []
    return pages.get_paginated_response([show(row) for row in rows])


def _find_schedule(schedule_id: int) -> Schedule:
    schedule = Schedule.objects.prefetch_related("fields__rule", "groups").filter(pk=schedule_id).first()
    if schedule is None:
        raise NotFound(f"There is no schedule {schedule_id}.")
    return schedule


def _find_run(run_id: int) -> Run:
    run = Run.objects.select_related("work", "schedule").filter(pk=run_id).first()
    if run is None:
        raise NotFound(f"There is no run {run_id}.")
    return run
