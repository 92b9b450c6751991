"""The editors of schedules. Choosing an App comes first; what the form asks depends on it.

“Show its columns” and “Preview” send the whole form and show it again: nothing that was written is lost, with or
without a script, and nothing is saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_http_methods

from apps_connectors.models import App
from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.ui.forms import actor_of, render_form, telling, told
from groups.models import Group
from profiles import queries
from profiles.models import ProfilePropertyRule, RuleState
from schedules import plans, schedules_store
from schedules.editing import export_form, first_rows, import_form, offers, previews, rhythms
from schedules.editing.export_form import ExportForm
from schedules.editing.import_form import ImportForm
from schedules.editing.offers import Writable
from schedules.first_rows import try_first_rows
from schedules.models import Direction, Schedule
from schedules.schedules_store import ScheduleData

_TICKS = ("may_create", "look_for_deleted", "enabled", "after_changes")


@require_GET
@role_required(Role.EDITOR)
def choose_app(request: HttpRequest, direction: str) -> HttpResponse:
    """The Apps that a new schedule can be made for."""
    if direction not in Direction.values:
        raise Http404
    apps = offers.find_apps(direction)
    context = {"direction": direction, "apps": [(app, offers.plugin_of(app)) for app in apps]}
    return render(request, "schedules/choose_app.html", context)


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def create(request: HttpRequest, direction: str, app_id: int) -> HttpResponse:
    """A new schedule of an App."""
    app = get_object_or_404(App, pk=app_id)
    if direction == Direction.IMPORT and offers.ways_to_read(app):
        return _edit_import(request, app, None)
    if direction == Direction.EXPORT and app in offers.find_apps(direction):
        return _edit_export(request, app, None)
    raise Http404


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def edit(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Change a schedule."""
    schedule = get_object_or_404(Schedule.objects.select_related("app"), pk=schedule_id)
    show = _edit_import if schedule.direction == Direction.IMPORT else _edit_export
    return show(request, schedule.app, schedule)


@require_GET
@role_required(Role.VIEWER)
def show_times(request: HttpRequest) -> HttpResponse:
    """The next times of a cron line, while it is being written."""
    context = {"coming": rhythms.next_times(request.GET.get("cron", ""))}
    return render(request, "schedules/_times.html", context)


# ---------------------------------------------------------------- coming in


def _edit_import(request: HttpRequest, app: App, schedule: Schedule | None) -> HttpResponse:
    rules = _rules()
    data = schedules_store.read_data(schedule) if schedule else None
    first = None
    if request.method == "POST" and "load" not in request.POST:
        form = _posted_import(request, app, rules)
        if form.is_valid():
            way = form.cleaned_data["way"]
            with form.catching({"options": way}):
                wanted = form.read_data(data.options if data else {})
                if "preview" not in request.POST:
                    return _save(request, schedule, wanted)
                first = first_rows.show(try_first_rows(wanted))
    else:
        form = _fresh_import(request, app, schedule, rules)
    cron = _value(form, "cron")
    context = {
        "form": form,
        "app": app,
        "schedule": schedule,
        "source": form.source,
        "first": first,
        "coming": rhythms.next_times(cron),
        "has_unique": any(rule.is_unique for rule in rules),
        "cancel": _back(schedule),
    }
    return render_form(request, "schedules/edit_import.html", context)


def _posted_import(request: HttpRequest, app: App, rules: list[ProfilePropertyRule]) -> ImportForm:
    source = offers.read_source(app, import_form.read_options(request.POST))
    columns = import_form.read_columns(request.POST) or list(source.columns)
    return ImportForm(request.POST, app=app, source=source, rules=rules, columns=columns)


def _fresh_import(
    request: HttpRequest, app: App, schedule: Schedule | None, rules: list[ProfilePropertyRule]
) -> ImportForm:
    """The form as it is shown first, and after the columns were asked for, with what was written so far."""
    if request.method == "POST":
        given = request.POST
        source = offers.read_source(app, import_form.read_options(given))
        earlier = {name: given.get(f"feeds-{index}", "") for index, name in enumerate(import_form.read_columns(given))}
        guessed = import_form.guess(source, table=given.get("table") or "", rules=rules)
        kept = {f"feeds-{i}": earlier[name] for i, name in enumerate(source.columns) if earlier.get(name)}
        written = {key: value for key, value in given.dict().items() if value and not key.startswith("feeds-")}
        ticks = {name: name in given for name in _TICKS}
        columns = {"id_column", "changed_column"}
        written = {k: v for k, v in written.items() if k not in columns or v in source.columns}
        return ImportForm(
            app=app,
            source=source,
            rules=rules,
            columns=source.columns,
            initial={**guessed, **written, **ticks, **kept},
        )
    if schedule is not None:
        data = schedules_store.read_data(schedule)
        source = offers.read_source(app, data.options)
        named = {*data.fields, data.options.get("id_column", ""), data.options.get("changed_column", "")} - {""}
        columns_now = [*source.columns, *sorted(named - set(source.columns))]
        initial = import_form.initial_of(data, columns_now)
        return ImportForm(app=app, source=source, rules=rules, columns=columns_now, initial=initial)
    table = request.GET.get("table", "")
    source = offers.read_source(app, {"table": table} if table else {})
    initial = {**import_form.guess(source, table=table, rules=rules), "table": table} if table else {}
    return ImportForm(app=app, source=source, rules=rules, columns=source.columns, initial=initial)


# ---------------------------------------------------------------- going out


def _edit_export(request: HttpRequest, app: App, schedule: Schedule | None) -> HttpResponse:
    data = schedules_store.read_data(schedule) if schedule else None
    preview, notice = None, ""
    if request.method == "POST":
        target = offers.read_target(app, _posted_target(request.POST))
        is_other = export_form.read_known(request.POST) != [field.key for field in target.fields]
        if "load" in request.POST or is_other:
            form = _reloaded_export(request, app, target)
            if "load" not in request.POST:
                notice = gettext("The fields at this place are others than before: look at the mapping, then save.")
        else:
            form = _export_form(request.POST, app, target)
            if form.is_valid():
                wanted = form.read_data(data.options if data else {})
                if "preview" not in request.POST:
                    with form.catching(_names_of_options(form)):
                        save = _save_and_look if "look" in request.POST else _save
                        return save(request, schedule, wanted)
                else:
                    with form.catching():
                        preview = _preview(wanted, request.POST.get("person", "").strip(), form)
    else:
        form = _fresh_export(request, app, data)
    context = {
        "form": form,
        "app": app,
        "schedule": schedule,
        "target": form.target,
        "notice": notice,
        "preview": preview,
        "person": request.POST.get("person", ""),
        "coming": rhythms.next_times(_value(form, "cron")),
        "has_unique": any(rule.is_unique for rule in form.rules),
        "cancel": _back(schedule),
    }
    return render_form(request, "schedules/edit_export.html", context)


def _export_form(given: Mapping[str, Any] | None, app: App, target: Writable, **initial: Any) -> ExportForm:
    groups = list(Group.objects.order_by("name"))
    return ExportForm(given, app=app, target=target, rules=_rules(), groups=groups, initial=initial)


def _fresh_export(request: HttpRequest, app: App, data: ScheduleData | None) -> ExportForm:
    """The form as it is shown first."""
    if data is not None:
        target = offers.read_target(app, data.options)
        return _export_form(None, app, target, **export_form.initial_of(data, target, _rules()))
    target = offers.read_target(app, {})
    group = request.GET.get("group", "") or _only_group()
    chosen = {f"group-{group}": True} if group.isdecimal() else {}
    return _export_form(None, app, target, **export_form.guess(target, _rules()), **chosen)


def _only_group() -> str:
    """The group that is meant where there is one alone."""
    found = list(Group.objects.values_list("pk", flat=True)[:2])
    return str(found[0]) if len(found) == 1 else ""


def _reloaded_export(request: HttpRequest, app: App, target: Writable) -> ExportForm:
    """The form after the App was asked for its fields, with what was written so far."""
    given = {key: value for key, value in request.POST.dict().items() if value}
    earlier = {name: given.get(f"from-{index}", "") for index, name in enumerate(export_form.read_known(given))}
    kept = {f"from-{i}": earlier[field.key] for i, field in enumerate(target.fields) if earlier.get(field.key)}
    known = {field.key for field in target.fields}
    written = {
        key: value
        for key, value in given.items()
        if not key.startswith("from-") and not (key.startswith("to-") and value in known)
    }
    ticks = {name: name in given for name in _TICKS}
    return _export_form(None, app, target, **{**export_form.guess(target, _rules()), **written, **ticks, **kept})


def _preview(wanted: ScheduleData, person: str, form: ExportForm) -> previews.Preview:
    return previews.preview(
        wanted.fields,
        key_field=wanted.options["key_field"],
        groups=wanted.groups,
        everyone=wanted.everyone,
        wanted=person,
        rules=form.rules,
        known=form.target.fields,
    )


def _posted_target(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key.removeprefix("option-"): given[key] for key in given if key.startswith("option-") and given[key]}


def _names_of_options(form: ExportForm) -> dict[str, str]:
    """Where a problem with the target's options is shown: beside the one it names, else beside the first of them."""
    names = {f"options.{option.key}": f"option-{option.key}" for option in form.target.options}
    first = next(iter(form.target.options), None)
    return {**names, "guard_share": "guard", **({"options": f"option-{first.key}"} if first else {})}


# ---------------------------------------------------------------- both


def _save(request: HttpRequest, schedule: Schedule | None, data: ScheduleData) -> HttpResponse:
    actor = actor_of(request)
    if schedule is None:
        made = schedules_store.create_schedule(data, actor=actor)
        when = gettext("Its first run starts within seconds.") if made.enabled and made.every_minutes else ""
        return told(
            request,
            (gettext("“%(made)s” was made. %(when)s") % {"made": made, "when": when}).strip(),
            to=reverse("schedules:show", args=[made.pk]),
        )
    schedules_store.update_schedule(schedule.pk, data, actor=actor)
    return told(
        request,
        gettext("“%(data)s” was saved.") % {"data": data.name},
        to=reverse("schedules:show", args=[schedule.pk]),
    )


def _save_and_look(request: HttpRequest, schedule: Schedule | None, data: ScheduleData) -> HttpResponse:
    """Save it switched off and work out what it would send; whoever sends that switches it on."""
    actor, data = actor_of(request), replace(data, enabled=False)
    if schedule is None:
        schedule = schedules_store.create_schedule(data, actor=actor)
    else:
        schedule = schedules_store.update_schedule(schedule.pk, data, actor=actor)
    to = reverse("schedules:show", args=[schedule.pk])
    with telling(request):
        run = plans.start(schedule.pk, actor=actor, switches_on=True)
        to = reverse("runs:show", args=[run.pk])
        messages.success(
            request,
            gettext("“%(schedule)s” was saved, switched off. Look at what it would send, then decide.")
            % {"schedule": schedule},
        )
    return redirect(to)


def _rules() -> list[ProfilePropertyRule]:
    return [rule for rule in queries.rules_in_use() if rule.state == RuleState.READY]


def _back(schedule: Schedule | None) -> str:
    return reverse("schedules:show", args=[schedule.pk]) if schedule else reverse("schedules:list")


def _value(form: ImportForm | ExportForm, name: str) -> str:
    return str(form[name].value() or "")
