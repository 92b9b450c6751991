"""Schedules, runs, uploads and what exports hold over HTTP. See `schedules/api_urls.py` for the addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast
from uuid import UUID

from django.http import QueryDict
from django.utils import timezone
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from core.lib.errors import InvalidInput, NotFound
from core.lib.storable import find_problem_in_text
from core.rest.auth import actor_of
from core.rest.endpoint import Endpoint, operation, scopes_of
from core.rest.paging import answer_page
from core.rest.reading import Body, PageQuery, read_body, read_query
from profiles.models import Profile
from schedules import pages, runs, schedules_store, uploads
from schedules.models import Direction, ExportRecord, Mode, RecordState, Run, RunError, RunState, Schedule
from schedules.progress import progress_of
from schedules.schedules_store import ScheduleData

_LONGEST_FIELD = 200
_OPTIONS = (
    "Of an import: table, query or path, changed_column, id_column, may_create, look_for_deleted, lookback (seconds)."
    " Of an export: what its App asks for, and key_field; field_types, of fields whose values are converted, are found"
    " when it is saved."
)
_FIELDS = "A column (import) or a field of the destination (export), and the key of its property."
_GUARD = (
    "How much of what the destination holds a run may remove or change unasked; null: the project's; 1: everything."
)
_GROUPS = "The number of a group, and its name at the destination."

# ---------------------------------------------------------------- schedules


class ScheduleAnswer(serializers.Serializer[Schedule]):
    """What is read from or written to an App, and when."""

    id = serializers.IntegerField()
    direction = serializers.ChoiceField(Direction.choices)
    name = serializers.CharField()
    app_id = serializers.IntegerField()
    options = serializers.DictField(help_text=_OPTIONS)
    fields = serializers.DictField(child=serializers.CharField(), help_text=_FIELDS)  # type: ignore[assignment]
    groups = serializers.DictField(child=serializers.CharField(), help_text=_GROUPS)
    every_minutes = serializers.IntegerField(allow_null=True)
    cron = serializers.CharField(allow_blank=True)
    after_changes = serializers.BooleanField()
    enabled = serializers.BooleanField()
    mode = serializers.ChoiceField(Mode.choices)
    everyone = serializers.BooleanField()
    guard_share = serializers.FloatField(allow_null=True, help_text=_GUARD)
    next_at = serializers.DateTimeField(allow_null=True)
    halted_reason = serializers.CharField(allow_blank=True, help_text="While it is set nothing starts by itself.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ScheduleChanges(Body):
    """The parts of a schedule that change."""

    name = serializers.CharField(max_length=200, required=False)
    app_id = serializers.IntegerField(required=False, min_value=1)
    options = serializers.DictField(required=False, help_text=_OPTIONS)
    fields = serializers.DictField(  # type: ignore[assignment]  # the word of the domain
        child=serializers.CharField(max_length=_LONGEST_FIELD), required=False, help_text=_FIELDS
    )
    groups = serializers.DictField(
        child=serializers.CharField(max_length=_LONGEST_FIELD), required=False, help_text=_GROUPS
    )
    every_minutes = serializers.IntegerField(required=False, allow_null=True, min_value=1)
    cron = serializers.CharField(max_length=100, required=False, allow_blank=True)
    after_changes = serializers.BooleanField(required=False)
    enabled = serializers.BooleanField(required=False)
    mode = serializers.ChoiceField(Mode.choices, required=False)
    everyone = serializers.BooleanField(required=False)
    guard_share = serializers.FloatField(
        required=False, allow_null=True, min_value=0.0, max_value=1.0, help_text=_GUARD
    )


class NewSchedule(ScheduleChanges):
    """A new schedule."""

    direction = serializers.ChoiceField(Direction.choices)
    name = serializers.CharField(max_length=200)
    app_id = serializers.IntegerField(min_value=1)


class Schedules(Endpoint):
    """All schedules; a new one."""

    required_scope = scopes_of("schedules")

    @operation("list_schedules", query=PageQuery, answers=ScheduleAnswer, is_page=True)
    def get(self, request: Request) -> Response:
        """Schedules of both directions, in the order they were made."""
        read_query(request, PageQuery)
        found = Schedule.objects.prefetch_related("fields__rule", "groups")
        return answer_page(request, found, ordering="id", show=_show_schedules)

    @operation("create_schedule", body=NewSchedule, answers=ScheduleAnswer, status=201, is_create=True)
    def post(self, request: Request) -> Response:
        """Make one. Its App is asked whether what it names is there."""
        given = read_given(read_body(request, NewSchedule))
        schedule = schedules_store.create_schedule(ScheduleData(**given), actor=actor_of(request))
        return Response(show_schedule(schedule), status=201)


class OneSchedule(Endpoint):
    """One schedule."""

    required_scope = scopes_of("schedules")

    @operation("read_schedule", answers=ScheduleAnswer, is_one=True)
    def get(self, request: Request, schedule_id: int) -> Response:
        """As it is."""
        return Response(show_schedule(_find_schedule(schedule_id)))

    @operation("change_schedule", body=ScheduleChanges, answers=ScheduleAnswer)
    def patch(self, request: Request, schedule_id: int) -> Response:
        """Change what is given; the rest stays. What changes its content waits for the end of its run."""
        schedule = _find_schedule(schedule_id)
        given = read_given(read_body(request, ScheduleChanges, partial=True))
        data = replace(schedules_store.read_data(schedule), **given)
        schedules_store.update_schedule(schedule_id, data, actor=actor_of(request))
        return Response(show_schedule(_find_schedule(schedule_id)))

    @operation("delete_schedule", status=204)
    def delete(self, request: Request, schedule_id: int) -> Response:
        """Delete it with its runs; the events and people that came of them stay."""
        schedules_store.delete_schedule(_find_schedule(schedule_id).pk, actor=actor_of(request))
        return Response(status=204)


class ResumeSchedule(Endpoint):
    """Lets a halted schedule go on."""

    required_scope = "schedules:write"

    @operation("resume_schedule", answers=ScheduleAnswer)
    def post(self, request: Request, schedule_id: int) -> Response:
        """What halted it is mended: it is due at once if it has a rhythm."""
        schedules_store.resume(_find_schedule(schedule_id).pk, actor=actor_of(request))
        return Response(show_schedule(_find_schedule(schedule_id)))


# ---------------------------------------------------------------- runs


class RunAnswer(serializers.Serializer[Run]):
    """One execution of a schedule."""

    id = serializers.IntegerField()
    schedule_id = serializers.IntegerField()
    schedule = serializers.CharField(help_text="The name of its schedule.")
    direction = serializers.ChoiceField(Direction.choices)
    state = serializers.ChoiceField(RunState.choices)
    trigger = serializers.CharField(help_text="What started it: schedule, change, upload, or person:ID.")
    file = serializers.CharField(allow_null=True, help_text="What an uploaded file was called.")
    counters = serializers.DictField(child=serializers.IntegerField())
    percent = serializers.IntegerField(allow_null=True)
    per_second = serializers.FloatField(allow_null=True)
    seconds_left = serializers.IntegerField(allow_null=True)
    notes = serializers.ListField(child=serializers.CharField())
    error = serializers.CharField(allow_blank=True)
    last_problem = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class RunErrorAnswer(serializers.Serializer[RunError]):
    """What went wrong in a run, by message."""

    message = serializers.CharField()
    count = serializers.IntegerField()
    examples = serializers.ListField(child=serializers.DictField(), help_text="Five at most.")


class DetailedRunAnswer(RunAnswer):
    """A run with its errors."""

    errors = RunErrorAnswer(many=True)  # type: ignore[assignment]  # the word of the domain


class RunsQuery(PageQuery):
    """Which runs."""

    schedule = serializers.IntegerField(required=False, min_value=1, help_text="The number of a schedule.")
    direction = serializers.ChoiceField(Direction.choices, required=False)
    state = serializers.ChoiceField(RunState.choices, required=False)


class RunNow(Endpoint):
    """Starts a run of one schedule by hand."""

    required_scope = "schedules:write"

    @operation("run_schedule", answers=RunAnswer, status=201, is_create=True)
    def post(self, request: Request, schedule_id: int) -> Response:
        """The run; 409 while another one is unfinished, or the App is paused."""
        actor = actor_of(request)
        return Response(show_run(runs.start_run(schedule_id, trigger=actor.cause, actor=actor)), status=201)


class Runs(Endpoint):
    """The runs of all schedules, or of one by `?schedule=ID`."""

    required_scope = "schedules:read"

    @operation("list_runs", query=RunsQuery, answers=RunAnswer, is_page=True)
    def get(self, request: Request) -> Response:
        """Runs, the latest first."""
        wanted = read_query(request, RunsQuery)
        found = pages.runs(direction=wanted.get("direction", ""), state=wanted.get("state", ""))
        if "schedule" in wanted:
            found = found.filter(schedule_id=wanted["schedule"])
        return answer_page(request, found, ordering="-id", show=_show_runs)


class OneRun(Endpoint):
    """One run."""

    required_scope = "schedules:read"

    @operation("read_run", answers=DetailedRunAnswer, is_one=True)
    def get(self, request: Request, run_id: int) -> Response:
        """With its progress, and its errors grouped by message."""
        run = _find_run(run_id)
        errors = run.errors.order_by("-count", "message").values("message", "count", "examples")
        return Response({**show_run(run), "errors": list(errors)})


class StopRun(Endpoint):
    """Asks one run to stop."""

    required_scope = "schedules:write"

    @operation("stop_run", answers=RunAnswer, status=202)
    def post(self, request: Request, run_id: int) -> Response:
        """It stops at its next page or batch; 409 when it has ended."""
        runs.stop_run(run_id, actor=actor_of(request))
        return Response(show_run(_find_run(run_id)), status=202)


class RetryRun(Endpoint):
    """Starts a new run where a failed or stopped one ended."""

    required_scope = "schedules:write"

    @operation("retry_run", answers=RunAnswer, status=201, is_create=True)
    def post(self, request: Request, run_id: int) -> Response:
        """The new run; 409 for one that goes on or is complete."""
        return Response(show_run(runs.retry_run(run_id, actor=actor_of(request))), status=201)


# ---------------------------------------------------------------- uploads


class UploadBody(serializers.Serializer[Any]):
    """A file and the App that takes it."""

    file = serializers.FileField(help_text="A CSV file.")
    app = serializers.CharField(help_text="The name of an App that takes files.")


class Uploads(Endpoint):
    """Takes CSV files as `multipart/form-data`: `file`, and `app` with the name of the App that takes it."""

    required_scope = "schedules:write"
    parser_classes = [MultiPartParser]

    @operation("upload_file", body={"multipart/form-data": UploadBody}, answers=RunAnswer, status=201)
    def post(self, request: Request) -> Response:
        """The run that imports the file; its address tells how far it is."""
        file, app = request.FILES.get("file"), cast("QueryDict", request.data).get("app")
        if file is None:
            raise InvalidInput("Send the CSV as the part “file” of multipart/form-data.", {"file": "This is needed."})
        if not isinstance(app, str) or not app.strip() or find_problem_in_text(app):
            raise InvalidInput("Send the name of the App that takes the file as “app”.", {"app": "This is needed."})
        run = uploads.start_upload(app, file, name=file.name or "upload.csv", actor=actor_of(request))
        return Response(show_run(run), status=201)


# ---------------------------------------------------------------- where a person was sent


class ExportAnswer(serializers.Serializer[ExportRecord]):
    """How one person stands at one destination."""

    schedule_id = serializers.IntegerField()
    schedule = serializers.CharField(help_text="The name of the export.")
    state = serializers.ChoiceField(RecordState.choices)
    key = serializers.CharField(allow_null=True, help_text="By what the destination knows them; null: it has nothing.")
    payload = serializers.DictField(allow_null=True, help_text="What it accepted last.")
    groups = serializers.ListField(child=serializers.CharField(), allow_null=True)
    owed_payload = serializers.DictField(allow_null=True, help_text="What it has yet to get.")
    attempts = serializers.IntegerField()
    error = serializers.CharField(allow_blank=True)
    next_at = serializers.DateTimeField(allow_null=True)
    sent_at = serializers.DateTimeField(allow_null=True)
    accepted_at = serializers.DateTimeField(allow_null=True)


class ExportsOfProfile(Endpoint):
    """Where one person was sent."""

    required_scope = "profiles:read"

    @operation("list_exports_of_profile", answers=ExportAnswer, is_list=True)
    def get(self, request: Request, guid: UUID) -> Response:
        """Every export that knows them: what it holds, what it is owed, what went wrong."""
        if not Profile.objects.filter(pk=guid).exists():
            raise NotFound(f"There is no profile {guid}.")
        return Response({"results": [_show_record(*each) for each in pages.exports_of_profile(guid)]})


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
        "guard_share": schedule.guard_share,
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


def _show_schedules(found: Sequence[Schedule]) -> list[dict[str, Any]]:
    return [show_schedule(schedule) for schedule in found]


def _show_runs(found: Sequence[Run]) -> list[dict[str, Any]]:
    return [show_run(run) for run in found]


def _show_record(record: ExportRecord, schedule: Schedule) -> dict[str, Any]:
    return {
        "schedule_id": schedule.pk,
        "schedule": schedule.name,
        "state": record.state,
        "key": record.key,
        "payload": record.payload,
        "groups": record.group_names,
        "owed_payload": record.owed_payload,
        "attempts": record.attempts,
        "error": record.error,
        "next_at": record.next_at,
        "sent_at": record.sent_at,
        "accepted_at": record.accepted_at,
    }


def read_given(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a body with its groups by number; JSON knows only text as keys."""
    groups = given.get("groups")
    if groups is None:
        return dict(given)
    if not all(key.isdecimal() and key.isascii() and len(key) < 19 for key in groups):
        raise InvalidInput("Name each group by its number.", {"groups": "Name each group by its number."})
    return {**given, "groups": {int(key): name for key, name in groups.items()}}


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
