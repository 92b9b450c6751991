"""Pages for what people do with groups: copies, files, overlap, breakdown, one group for each value."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.lib.errors import InvalidInput, Refused
from core.ui.forms import actor_of, render_form, telling, told
from core.ui.pages import answer
from core.ui.wording import counted, people
from groups import analysis, groups_store, people_lists, values
from groups.forms import ValuesForm
from groups.models import Group
from profiles.models import ProfilePropertyRule, RuleState


@require_POST
@role_required(Role.EDITOR)
def copy_group(request: HttpRequest, group_id: int) -> HttpResponse:
    """Another group with the same rules or members."""
    group = get_object_or_404(Group, pk=group_id)
    shown = group.pk
    with telling(request):
        shown = groups_store.copy_group(group.pk, actor=actor_of(request)).pk
        messages.success(request, gettext("%(group)s was copied. This is the copy.") % {"group": group})
    return redirect("groups:show", shown)


@require_GET
@role_required(Role.VIEWER)
def download_members(request: HttpRequest, group_id: int) -> HttpResponseBase:
    """The members with every property, as a CSV."""
    group = get_object_or_404(Group, pk=group_id)
    response = StreamingHttpResponse(
        people_lists.stream_members(group, _rules()), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="group-{group.pk}-members.csv"'
    return response


@require_GET
@role_required(Role.VIEWER)
def show_overlap(request: HttpRequest) -> HttpResponse:
    """How many people are in which combination of some groups."""
    groups = {group.pk: group for group in Group.objects.order_by("name")}
    chosen = [int(each) for each in request.GET.getlist("group") if each.isdecimal() and len(each) < 10]
    chosen = [group_id for group_id in dict.fromkeys(chosen) if group_id in groups]
    context = {"groups": list(groups.values()), "chosen": chosen, "overlap": None, "problem": ""}
    if request.GET.getlist("group"):
        try:
            found = analysis.overlap(chosen)
        except (InvalidInput, Refused) as error:
            context["problem"] = error.message
        else:
            context["overlap"] = found
            context["combinations"] = [
                ([groups[each] for each in one.group_ids], one.people) for one in found.combinations
            ]
            context["most"] = max((one.people for one in found.combinations), default=0)
            context["pairs"] = [
                (groups[one], groups[other], people, found.sizes[one], found.sizes[other])
                for (one, other), people in found.pairs.items()
            ]
            context["sizes"] = [(groups[group_id], people) for group_id, people in found.sizes.items()]
    return answer(request, "groups/overlap.html", "groups/overlap.html", context)


@require_GET
@role_required(Role.VIEWER)
def show_breakdown(request: HttpRequest, group_id: int) -> HttpResponse:
    """The members of a group by a property."""
    group = get_object_or_404(Group, pk=group_id)
    key = request.GET.get("property", "")
    context = {"group": group, "rules": _rules(), "key": key, "breakdown": None, "problem": ""}
    if key:
        try:
            rule = values.find_property(key)
            context["rule"] = rule
            context["breakdown"] = analysis.break_down(rule, group_id=group.pk)
        except (InvalidInput, Refused) as error:
            context["problem"] = error.message
    return answer(request, "groups/breakdown.html", "groups/breakdown.html", context)


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def make_by_value(request: HttpRequest) -> HttpResponse:
    """One group for each value of a property: choose the property, then its values, then the names."""
    key = request.GET.get("property", "") if request.method == "GET" else request.POST.get("property", "")
    rule = ProfilePropertyRule.objects.filter(key=key, state=RuleState.READY).first()
    context: dict[str, Any] = {"rules": _rules(), "key": key, "rule": rule, "form": None, "problem": ""}
    if rule is not None:
        try:
            parts = analysis.break_down(rule, most=values.MOST).parts
        except Refused as error:
            context["problem"] = error.message
        else:
            form = ValuesForm(request.POST or None, initial={"name": f"{rule}: {values.VALUE}", "property": key})
            form.offer([(part.value, f"{part.label} ({people(part.people)})") for part in parts])
            context["form"] = form
            if request.method == "POST" and form.is_valid():
                with form.catching():
                    made = values.make_groups(
                        rule, form.cleaned_data["values"], name=form.cleaned_data["name"], actor=actor_of(request)
                    )
                    said = counted(
                        ngettext(
                            "%(count)s group was made. Their members follow in a moment.",
                            "%(count)s groups were made. Their members follow in a moment.",
                            len(made),
                        ),
                        len(made),
                    )
                    return told(request, said, to=reverse("groups:list"))
    return render_form(request, "groups/by_value.html", context)


def _rules() -> list[ProfilePropertyRule]:
    return list(ProfilePropertyRule.objects.filter(state=RuleState.READY).order_by("id"))
