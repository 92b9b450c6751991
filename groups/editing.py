"""The pages that change groups: the builder with its live count, manual members, deleting."""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_http_methods, require_POST

from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.lib.errors import InvalidInput, Refused
from core.ui.forms import Question, actor_of, confirmed, render_form, telling, told
from core.ui.pages import read_guid
from core.ui.used_by import users_of
from core.ui.wording import counted, people
from events import queries as event_queries
from groups import groups_store, queries, streaming
from groups.builder import form as draft_form
from groups.builder import shape
from groups.builder.draft import Draft
from groups.counting import count
from groups.forms import ListForm, NameForm, OneForm
from groups.models import Group, GroupKind
from groups.people_lists import values_of_csv
from groups.reading import MATCHES, PAYLOAD_TYPES
from groups.streaming import Live
from profiles import queries as people_queries
from profiles import ruleset
from profiles.finding import Found, find_by_lines, find_by_values

_EVENT_TYPES = 100  # that are offered; others can be written


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def create_calculated(request: HttpRequest) -> HttpResponse:
    """The builder of a new group."""
    return _build(request, None)


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def create_manual(request: HttpRequest) -> HttpResponse:
    """A new group without rules."""
    form = NameForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with form.catching():
            name = form.cleaned_data["name"]
            group = groups_store.create_group(name, kind=GroupKind.MANUAL, actor=actor_of(request))
            return told(
                request,
                gettext("The group %(group)s was made. Put people into it.") % {"group": group},
                to=_address(group),
            )
    return render_form(request, "groups/name.html", {"form": form, "group": None})


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def edit_group(request: HttpRequest, group_id: int) -> HttpResponse:
    """The builder of a group, or the name of a manual one."""
    group = get_object_or_404(Group, pk=group_id)
    if group.kind == GroupKind.CALCULATED:
        return _build(request, group)
    form = NameForm(request.POST or None, initial={"name": group.name})
    if request.method == "POST" and form.is_valid():
        with form.catching():
            group = groups_store.rename_group(group.pk, name=form.cleaned_data["name"], actor=actor_of(request))
            return told(request, gettext("The group is called %(group)s now.") % {"group": group}, to=_address(group))
    return render_form(request, "groups/name.html", {"form": form, "group": group})


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def delete_group(request: HttpRequest, group_id: int) -> HttpResponse:
    """Delete a group that nothing uses, after saying who leaves it."""
    group = get_object_or_404(Group, pk=group_id)
    size = queries.count_members([group.pk]).get(group.pk, 0)
    consequences = [
        counted(ngettext("%(count)s person leaves it.", "%(count)s people leave it.", size), size),
        gettext("The log of who joined and left is kept as long as other logs."),
    ]
    question = Question(
        gettext("Delete %(group)s?") % {"group": group},
        consequences,
        verb=gettext("Delete group"),
        back=_address(group),
        against=[
            gettext("%(user)s uses it: take it out there first.") % {"user": f"{user[:1].upper()}{user[1:]}"}
            for user in users_of(group)
        ],
    )

    def delete() -> HttpResponse:
        groups_store.delete_group(group.pk, actor=actor_of(request))
        return told(
            request, gettext("The group %(group)s was deleted.") % {"group": group.name}, to=reverse("groups:list")
        )

    return confirmed(request, question, delete)


@require_POST
@role_required(Role.EDITOR)
def recalculate(request: HttpRequest, group_id: int) -> HttpResponse:
    """Go through everyone again."""
    group = get_object_or_404(Group, pk=group_id)
    with telling(request):
        groups_store.recalculate_group(group.pk, actor=actor_of(request))
        messages.success(request, gettext("Everyone is gone through again, in the background."))
    return redirect(_address(group))


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def add_list(request: HttpRequest, group_id: int) -> HttpResponse:
    """A list for a manual group, pasted or as a CSV; lines that name nobody are given back."""
    group = get_object_or_404(Group, pk=group_id)
    form = ListForm(request.POST or None, request.FILES or None, initial={"act": "add"})
    context: dict[str, Any] = {"form": form, "group": group}
    if request.method == "POST" and form.is_valid():
        with form.catching():
            act, values = form.cleaned_data["act"], _listed(form)
            found = find_by_values(values)
            is_trial = act == "replace" and form.cleaned_data["agreed"] != "yes"
            joined, left = groups_store.move_members(
                group.pk, found.guids, act=act, is_trial=is_trial, actor=actor_of(request)
            )
            said = _said(act, joined, left, found)
            if is_trial:
                context["asked"] = {"joined": joined, "left": left}
                context["form"] = ListForm(initial={"lines": "\n".join(values), "act": act, "agreed": "yes"})
            elif not found.unmatched and not found.ambiguous:
                return told(request, said, to=_address(group))
            else:
                left_over = "\n".join([*found.unmatched, *found.ambiguous])
                context |= {"found": found, "said": said, "left": left_over}
                context["form"] = ListForm(initial={"lines": left_over, "act": "add"})
    return render_form(request, "groups/list_of_people.html", context)


@require_POST
@role_required(Role.EDITOR)
def add_one(request: HttpRequest, group_id: int) -> HttpResponse:
    """Put one person into a manual group."""
    group = get_object_or_404(Group, pk=group_id)
    form = OneForm(request.POST)
    if form.is_valid():
        with telling(request):
            found = find_by_lines(form.cleaned_data["person"])
            if not found.guids:
                raise InvalidInput(gettext("Nobody is found by “%(person)s”. Nothing was changed.") % form.cleaned_data)
            joined = groups_store.add_members(group.pk, found.guids, actor=actor_of(request))
            messages.success(
                request, gettext("They are in the group now.") if joined else gettext("They were in the group already.")
            )
    else:
        messages.error(request, gettext("Write who it is: an email address, another identifying value, or a guid."))
    return redirect(_address(group))


@require_POST
@role_required(Role.EDITOR)
def remove_chosen(request: HttpRequest, group_id: int) -> HttpResponse:
    """Take one person, or all that were chosen, out of a manual group."""
    group = get_object_or_404(Group, pk=group_id)
    chosen = [guid for guid in map(read_guid, request.POST.getlist("profile")) if guid is not None]
    with telling(request):
        left = groups_store.remove_members(group.pk, chosen, actor=actor_of(request))
        if left == 1:
            messages.success(request, gettext("They were taken out of the group."))
        elif left:
            text = ngettext(
                "%(count)s person was taken out of the group.", "%(count)s people were taken out of the group.", left
            )
            messages.success(request, text % {"count": left})
        elif not chosen:
            messages.error(request, gettext("Choose who is to be taken out."))
    return redirect(_address(group))


def _build(request: HttpRequest, group: Group | None) -> HttpResponse:
    do = request.POST.get("do", "save") if request.method == "POST" else "show"
    draft, name = _read(request, group)
    draft = shape.change(draft, do)
    form = NameForm(request.POST if do == "save" else None, initial={"name": name})
    if do == "save" and form.is_valid():
        try:
            saved_group = _save(request, group, form.cleaned_data["name"], draft)
        except (InvalidInput, Refused) as error:
            draft = draft.with_problems(_of_rules(error))
            if "name" in error.fields or not error.fields:
                form.add_problem(error)
        else:
            return told(
                request,
                gettext("%(saved_group)s was saved. Its members follow in a moment.") % {"saved_group": saved_group},
                to=_address(saved_group),
            )
    elif do == "save":  # the name is missing: what is wrong with the rules is told at the same time
        try:
            groups_store.check_rules(draft.tree())
        except InvalidInput as error:
            draft = draft.with_problems(_of_rules(error))
    live = _count(draft) if do == "count" else Live()
    leaves = {leaf.path: leaf for leaf in live.counted.leaves} if live.counted is not None else {}
    context = {
        "form": form,
        "group": group,
        "draft": draft,
        "draft_name": request.POST.get("draft") or secrets.token_urlsafe(12),
        "counted": {row.id: leaves.get(".".join(row.place)) for row in draft.rows},
        "subjects": draft_form.subjects(ruleset.load().by_key.values()),
        "groups": [(str(pk), name) for pk, name in queries.names_of_others(group).items()],
        "event_types": event_queries.known_types(limit=_EVENT_TYPES),
        "payload_types": tuple(PAYLOAD_TYPES),
        "matches": MATCHES,
        "units": draft_form.units(),
        "live": live,
    }
    response = render_form(request, "groups/edit.html", context)
    if do == "save":
        response.status_code = 422
    return response


@require_POST
@role_required(Role.EDITOR)
def count_draft(request: HttpRequest) -> StreamingHttpResponse:
    """The numbers of a draft as they are found: lines of JSON, each with a place on the page and its new content."""
    draft = draft_form.read_draft(request.POST, by_key=ruleset.load().by_key, groups=queries.names_of_others(None))
    lines = streaming.say(draft, name=request.POST.get("draft", ""))
    response = StreamingHttpResponse(lines, content_type="application/x-ndjson")
    response["X-Accel-Buffering"] = "no"  # a proxy that collects the lines would make them late
    return response


def _read(request: HttpRequest, group: Group | None) -> tuple[Draft, str]:
    """The draft and the name as they were sent, or as they are saved."""
    by_key, others = ruleset.load().by_key, queries.names_of_others(group)
    if request.method == "POST":
        return draft_form.read_draft(request.POST, by_key=by_key, groups=others), request.POST.get("name", "")
    if group is None or not group.rules:
        return draft_form.empty_draft(), ""
    return draft_form.draft_of(group.rules, by_key=by_key, groups=others), group.name


def _of_rules(error: InvalidInput | Refused) -> dict[str, str]:
    return {key: text for key, text in error.fields.items() if key.startswith("rules")}


def _save(request: HttpRequest, group: Group | None, name: str, draft: Draft) -> Group:
    actor = actor_of(request)
    if group is None:
        return groups_store.create_group(name, kind=GroupKind.CALCULATED, rules=draft.tree(), actor=actor)
    with transaction.atomic():
        if name != group.name:
            groups_store.rename_group(group.pk, name=name, actor=actor)
        return groups_store.update_rules(group.pk, draft.tree(), actor=actor)


def _count(draft: Draft) -> Live:
    """Everything at once, for pages without script."""
    if draft.is_empty:
        return Live()
    try:
        counted = count(draft.tree())
    except InvalidInput:
        return Live(problem=str(streaming.INCOMPLETE))
    except Refused as error:
        return Live(problem=error.message)
    return streaming.show(counted, draft)


def _listed(form: ListForm) -> list[str]:
    """The values of a pasted list or a file."""
    file = form.cleaned_data["file"]
    if file is None:
        return [line for line in form.cleaned_data["lines"].splitlines() if line.strip()]
    return values_of_csv(file.read(), people_queries.rules_in_use())


def _said(act: str, joined: int, left: int, found: Found) -> str:
    if act == "replace":
        return gettext("%(joined)s joined and %(left)s left.") % {"joined": people(joined), "left": people(left)}
    there = len(found.guids) - joined - left
    if act == "add":
        text = gettext("%(people)s joined.")
        if there:
            text = ngettext(
                "%(people)s joined; %(count)s was in it already.",
                "%(people)s joined; %(count)s were in it already.",
                there,
            )
        return text % {"people": people(joined), "count": there}
    text = gettext("%(people)s left; %(count)s of them were not in it.") if there else gettext("%(people)s left.")
    return text % {"people": people(left), "count": there}


def _address(group: Group) -> str:
    return reverse("groups:show", args=[group.pk])
