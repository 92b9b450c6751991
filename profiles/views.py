"""The pages of property rules: the list, one rule, its editor with the try on a real person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps_connectors.queries import get_app
from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.lib.errors import InvalidInput
from core.ui import notices
from core.ui.forms import Question, actor_of, confirmed, render_form, telling, told
from core.ui.pages import STOP_POLLING, answer
from core.ui.remembering import remembers
from core.ui.sorting import arrange, part_of, read_sort
from core.ui.wording import counted, value_text
from core.work.models import UNFINISHED, Work
from profiles import coverage, queries, rules
from profiles.forms import (
    FILTER_WORDS,
    MOST_FILTERS,
    RuleForm,
    can_be_asked,
    draft_of,
    load_tables,
    values_of,
    values_of_rule,
)
from profiles.models import Profile, ProfilePropertyRule, RuleState
from profiles.rule_users import users_of
from profiles.trying import Trial, find_people, try_rule

_NEW = {"retrieval": "query", "type": "string", "filters": []}
_PEOPLE = 5
# What the list is sorted by. Its usual order: what identifies people first, then as they were made.
_SORTS: Mapping[str, Callable[[tuple[ProfilePropertyRule, str, coverage.Coverage | None]], Any]] = {
    "rank": lambda _: 0,
    "key": lambda row: row[0].key,
    "type": lambda row: row[0].type_in_words,
    "coverage": lambda row: row[2].known if row[2] else None,
}


@dataclass(frozen=True, slots=True)
class ShownTrial:
    """A trial with the person by name and the values as text."""

    trial: Trial
    person: queries.Person | None
    value: str
    raw: str
    variables: list[tuple[str, str]]


@require_GET
@role_required(Role.VIEWER)
@remembers()
def list_rules(request: HttpRequest) -> HttpResponse:
    """Every property rule: what it is, where it comes from, whether it is asked, how many people have a value."""
    found = queries.rules_in_use()
    covered = coverage.measure([rule.key for rule in found])
    rows = [(rule, how, covered.get(rule.key)) for rule, how in queries.with_sources(found)]
    sort = read_sort(request, _SORTS, usual="rank")
    part = part_of(arrange(rows, sort, _SORTS), request)
    context = {
        "rules": part.rows,
        "sort": sort,
        "part": part,
        "known": sorted(
            ((rule, covered[rule.key]) for rule in found if rule.key in covered),
            key=lambda each: (-each[1].known, str(each[0])),
        ),
        "unique": sum(1 for rule in found if rule.is_unique),
        "paused": sum(1 for rule in found if rule.paused_reason),
        "progress": _progress(),
    }
    return answer(request, "properties/list.html", "properties/list.html", context)


@require_GET
@role_required(Role.VIEWER)
def show_rules_of_app(request: HttpRequest, app_id: int) -> HttpResponse:
    """The properties that ask an App, for its page."""
    app = get_app(app_id)
    found = [rule for rule in queries.rules_in_use() if rule.app_id == app.pk]
    context = {"app": app, "rules": queries.with_sources(found)}
    return answer(request, "properties/of_app.html", "properties/_of_app.html", context)


@require_GET
@role_required(Role.VIEWER)
def show_progress(request: HttpRequest) -> HttpResponse:
    """How far asking everyone again has come; htmx asks no more once it has ended."""
    work = _progress()
    if work is None:  # they watched it end
        notices.see(request.user.pk, rules.REHYDRATE)
    return render(request, "properties/_progress.html", {"progress": work}, status=200 if work else STOP_POLLING)


@require_GET
@role_required(Role.VIEWER)
def show_rule(request: HttpRequest, rule_id: int) -> HttpResponse:
    """One property: what it is, how it gets its value, who uses it, what does not fit."""
    rule = _find(rule_id)
    covered = coverage.measure([rule.key]).get(rule.key)
    [(_, how)] = [each for each in queries.with_sources(queries.rules_in_use()) if each[0].pk == rule.pk]
    context = {
        "rule": rule,
        "how": how,
        "coverage": covered,
        "known": [(rule, covered)] if covered else [],
        "users": users_of(rule),
        "filters": [
            (each["column"], FILTER_WORDS.get(each["operator"], each["operator"]), each.get("value", ""))
            for each in (rule.column or {}).get("filters", [])
        ],
        "progress": _progress(),
        "is_asked": rule.app is not None and can_be_asked(rule.app),
    }
    return render(request, "properties/detail.html", context)


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def create_rule(request: HttpRequest) -> HttpResponse:
    """The editor of a new property."""
    return _edit(request, None)


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def edit_rule(request: HttpRequest, rule_id: int) -> HttpResponse:
    """The editor of a property."""
    return _edit(request, _find(rule_id))


@require_POST
@role_required(Role.EDITOR)
def resume_rule(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Ask a paused rule's App again."""
    rule = _find(rule_id)
    with telling(request):
        rules.resume_rule(rule, actor=actor_of(request))
        messages.success(request, gettext("%(rule)s is asked again, for everyone.") % {"rule": rule})
    return redirect(_address(rule))


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def delete_rule(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Delete a property that nothing uses, after saying what goes with it."""
    rule = _find(rule_id)
    found = coverage.count_of(rule.key)
    question = Question(
        gettext("Delete %(rule)s?") % {"rule": rule},
        [
            _say_loss(found),
            gettext("Events that carry it keep it, and nothing reads it any more."),
        ],
        verb=gettext("Delete property"),
        back=_address(rule),
        against=[
            gettext("It is in use by %(user)s: take it out there first.") % {"user": user} for user in users_of(rule)
        ],
    )

    def delete() -> HttpResponse:
        rules.delete_rule(rule.pk, actor=actor_of(request))
        return told(
            request,
            gettext("%(rule)s was deleted; its values are being taken away.") % {"rule": rule},
            to=reverse("properties:list"),
        )

    return confirmed(request, question, delete)


def _say_loss(found: coverage.Counted) -> str:
    having = found.with_value
    if not having:
        return gettext("Nobody has a value of it.")
    if found.is_exact:
        text = ngettext(
            "%(count)s person has a value of it, which is taken away in the background.",
            "%(count)s people have a value of it, which is taken away in the background.",
            having,
        )
    else:
        text = ngettext(
            "About %(count)s person has a value of it, which is taken away in the background.",
            "About %(count)s people have a value of it, which is taken away in the background.",
            having,
        )
    return counted(text, having)


def _edit(request: HttpRequest, rule: ProfilePropertyRule | None) -> HttpResponse:
    do = request.POST.get("do", "save") if request.method == "POST" else "show"
    values = values_of(request.POST) if do != "show" else values_of_rule(rule) if rule else dict(_NEW)
    given = request.POST if do == "save" else None
    if do == "add":
        values["filters"] = [*values["filters"], {}][:MOST_FILTERS]
    elif do.startswith("remove-"):
        values["filters"] = [row for place, row in enumerate(values["filters"]) if do != f"remove-{place}"]
    form = RuleForm(given, rule=rule, values=values, tables=load_tables(values))
    if do == "save" and form.is_valid():
        with form.catching():
            draft = draft_of(values, rule)
            if rule is None:
                made = rules.create_rule(draft, actor=actor_of(request))
                return told(request, gettext("The property %(made)s was made.") % {"made": made}, to=_address(made))
            made = rules.update_rule(rule.pk, draft, actor=actor_of(request))
            return told(request, gettext("%(made)s was saved.") % {"made": made}, to=_address(made))
    elif do == "save":
        with form.catching():  # so that everything that needs mending is told at once
            draft_of({**values, "label": values["label"] or gettext("New property")}, rule)
    known = queries.rules_in_use()
    context = {
        "form": form,
        "rule": rule,
        "values": values,
        "filter_words": FILTER_WORDS.items(),
        "columns": form.tables.columns(str(values.get("table", ""))),
        "variables": [each for each in known if rule is None or each.pk != rule.pk],
        "people": queries.name_people(find_people([], limit=_PEOPLE), known),
        "shown": _try(values, rule, known) if do == "try" else None,
    }
    return render_form(request, "properties/edit.html", context)


def _try(values: Mapping[str, Any], rule: ProfilePropertyRule | None, known: list[ProfilePropertyRule]) -> ShownTrial:
    wanted = values["try_on"]
    found = queries.search(wanted, known)[:1] if wanted else []
    if wanted and not found:
        return _shown(Trial(error=gettext("Nobody is found by “%(wanted)s”.") % {"wanted": wanted}), values, known)
    guid: UUID | None = found[0].pk if found else None
    try:
        draft = draft_of(values, rule)
    except InvalidInput as error:
        return _shown(Trial(error=error.message, fields=error.fields), values, known)
    return _shown(try_rule(draft, guid=guid, rule_id=rule.pk if rule else None), values, known)


def _shown(trial: Trial, values: Mapping[str, Any], known: list[ProfilePropertyRule]) -> ShownTrial:
    profile = Profile.objects.filter(pk=trial.guid).first() if trial.guid else None
    labels = {rule.key: (str(rule), rule) for rule in known}
    return ShownTrial(
        trial=trial,
        person=queries.name_people([profile], known)[0] if profile else None,
        value="" if trial.value is None else value_text(trial.value, values["type"], is_identity=values["is_unique"]),
        raw="" if trial.raw is None else str(trial.raw),
        variables=[
            (labels[key][0], value_text(value, labels[key][1].type, is_identity=True))
            for key, value in trial.variables.items()
            if value is not None
        ],
    )


def _progress() -> Work | None:
    return Work.objects.filter(kind=rules.REHYDRATE, state__in=UNFINISHED).order_by("id").first()


def _find(rule_id: int) -> ProfilePropertyRule:
    found = ProfilePropertyRule.objects.exclude(state=RuleState.DELETED).select_related("app", "column_key")
    return get_object_or_404(found, pk=rule_id)


def _address(rule: ProfilePropertyRule) -> str:
    return reverse("properties:show", args=[rule.pk])
