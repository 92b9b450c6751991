"""The pages of people: the list with its search, one person with what can be done for them, their change log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_GET, require_POST

from core.accounts.models import Role
from core.accounts.permissions import has_role, role_required
from core.ui import bulk, causes
from core.ui.counting import Question, count
from core.ui.forms import actor_of, telling
from core.ui.pages import PAGE_SIZE, answer, read_guid, read_place, write_place
from core.ui.remembering import remembers
from core.ui.sorting import read_sort
from core.ui.wording import counted, people
from core.work.models import UNFINISHED, Work
from groups import groups_store
from groups.models import Group, GroupKind
from pipeline import pages
from pipeline.process import Contended
from pipeline.refresh import refresh
from profiles import queries
from profiles.models import Profile

_DAY = timedelta(days=1)


@require_GET
@role_required(Role.VIEWER)
@remembers("group")
def list_profiles(request: HttpRequest) -> HttpResponse:
    """Everyone, the latest first; or those that a search or a group picks."""
    text = request.GET.get("q", "").strip()
    rules = queries.rules_in_use()
    group = _asked_group(request.GET.get("group", ""))
    before = read_guid(request.GET.get("before"))
    sort = read_sort(request, ("newest",), usual="-newest")  # by guid alone: an index on more would cost every update
    if text:
        found = queries.search(text, rules) if group is None else pages.search_group(group.pk, text, rules)
        people, more = found[: queries.MOST_FOUND], len(found) > queries.MOST_FOUND
    else:
        oldest_first = not sort.is_down
        page = (
            queries.newest(before=before, limit=PAGE_SIZE + 1, oldest_first=oldest_first)
            if group is None
            else pages.group_filter(group.pk, before=before, limit=PAGE_SIZE + 1, oldest_first=oldest_first)
        )
        people, more = page[:PAGE_SIZE], len(page) > PAGE_SIZE
    groups = list(Group.objects.order_by("name").only("id", "name", "kind")[:200])
    manual = [each for each in groups if each.kind == GroupKind.MANUAL]
    context = {
        "q": text,
        "sort": sort,
        "turned": sort.turned_by("newest"),
        "group": group,
        "groups": groups,
        "manual": manual,
        "choosing": has_role(request.user, Role.EDITOR),
        "rows": pages.rows_of(people, rules),
        "unique": [rule for rule in rules if rule.is_unique],
        "next_before": people[-1].pk if more and people and not text else None,
        "is_later_page": before is not None,
        "cut_at": queries.MOST_FOUND if text and more else None,
        **_counts(group),
    }
    if not people and not text and group is None:
        context["is_waiting"] = Work.objects.filter(kind="import", state__in=UNFINISHED).exists()
    return answer(request, "profiles/list.html", "profiles/_people.html", context)


@require_GET
@role_required(Role.VIEWER)
def show_profile(request: HttpRequest, guid: UUID) -> HttpResponse:
    """One person: what we know and from where, their groups and why, what happened."""
    profile = get_object_or_404(Profile, pk=guid)
    rules = queries.rules_in_use()
    lines = queries.describe(profile, rules, queries.variables(rules))
    history = pages.read_history(profile)
    named = causes.name_all([*history.causes, *(line.cause for line in lines if line.cause)])
    groups = pages.groups_of_person(profile, lines, named)
    context = {
        "profile": profile,
        "person": queries.name_people([profile], rules)[0],
        "lines": [(line, named.get(line.cause)) for line in lines],
        "known": sum(1 for line in lines if line.text),
        "rejected": sum(1 for line in lines if line.rejected),
        "groups": groups,
        "days": pages.timeline(profile, history, rules, named, group_names=groups.names),
    }
    return answer(request, "profiles/detail.html", "profiles/detail.html", context)


@require_GET
@role_required(Role.VIEWER)
def show_changes(request: HttpRequest, guid: UUID) -> HttpResponse:
    """The change log of one person, page by page."""
    profile = get_object_or_404(Profile, pk=guid)
    rules = queries.rules_in_use()
    before = read_place(request.GET.get("before"))
    found = queries.changes_of(profile.pk, before=before, limit=PAGE_SIZE + 1)
    log, more = found[:PAGE_SIZE], len(found) > PAGE_SIZE
    named = causes.name_all(change.cause for change in log)
    context = {
        "profile": profile,
        "person": queries.name_people([profile], rules)[0],
        "days": pages.by_day(pages.moments_of_changes(log, rules, named)),
        "next_before": write_place(log[-1].at, log[-1].pk) if more else None,
        "is_later_page": before is not None,
    }
    return answer(request, "profiles/changes.html", "profiles/_changes.html", context)


@require_POST
@role_required(Role.EDITOR)
def refresh_profile(request: HttpRequest, guid: UUID) -> HttpResponse:
    """Ask every App about this person, now."""
    profile = get_object_or_404(Profile, pk=guid)
    try:
        result = refresh([profile.pk])
    except Contended:
        messages.error(request, gettext("This person is being changed by other work right now. Try again in a moment."))
        return redirect("profiles:show", guid)
    if result.unanswered:
        reasons = " ".join(dict.fromkeys(result.unanswered.values()))
        count = len(result.unanswered)
        text = ngettext(
            "%(count)s property could not be asked for; what is known stays. %(reasons)s",
            "%(count)s properties could not be asked for; what is known stays. %(reasons)s",
            count,
        )
        messages.error(request, counted(text, count, reasons=reasons))
    elif not result.statements:
        messages.success(
            request, gettext("There was no App to ask: everything known of this person arrives in events.")
        )
    else:
        messages.success(request, _refreshed(profile, moves=result.moves))
    return redirect("profiles:show", guid)


@require_POST
@role_required(Role.EDITOR)
def join_group(request: HttpRequest, guid: UUID) -> HttpResponse:
    """Put this person into a manual group."""
    profile = get_object_or_404(Profile, pk=guid, merged_into__isnull=True)
    group = _asked_group(request.POST.get("group", ""))
    if group is None:
        messages.error(request, gettext("Choose the group to put them into."))
        return redirect("profiles:show", guid)
    with telling(request):
        joined = groups_store.add_members(group.pk, [profile.pk], actor=actor_of(request))
        messages.success(
            request,
            gettext("They are in %(group)s now.") % {"group": group}
            if joined
            else gettext("They were in %(group)s already.") % {"group": group},
        )
    return redirect("profiles:show", guid)


@require_POST
@role_required(Role.EDITOR)
def act_on_chosen(request: HttpRequest) -> HttpResponse:
    """Refresh the people chosen in the list, or put them into a manual group or take them out, all at once."""
    do, group = request.POST.get("do"), _asked_group(request.POST.get("group", ""))
    chosen = [guid for guid in map(read_guid, request.POST.getlist("chosen")) if guid is not None][: bulk.MOST]
    if chosen and do == "refresh":
        _refresh_all(request, chosen)
        return redirect("profiles:list")
    if not chosen or group is None:
        if do == "refresh":
            messages.error(request, gettext("Choose people."))
        else:
            messages.error(request, gettext("Choose people, and the group to put them into or take them out of."))
        return redirect("profiles:list")
    with telling(request):
        if do == "leave":
            left = groups_store.remove_members(group.pk, chosen, actor=actor_of(request))
            messages.success(request, gettext("%(people)s left %(group)s.") % {"people": people(left), "group": group})
        else:
            joined = groups_store.add_members(group.pk, chosen, actor=actor_of(request))
            messages.success(
                request, gettext("%(people)s joined %(group)s.") % {"people": people(joined), "group": group}
            )
    return redirect("groups:show", group.pk)


def _refresh_all(request: HttpRequest, guids: Sequence[UUID]) -> None:
    """Ask every App about these people, with one batch for all of them, and tell how that went."""
    known = list(Profile.objects.filter(pk__in=guids, merged_into__isnull=True).values_list("pk", flat=True))
    try:
        result = refresh(known)
    except Contended:
        messages.error(
            request, gettext("Some of them are being changed by other work right now. Try again in a moment.")
        )
        return
    whom = people(len(known))
    if result.unanswered:
        reasons = " ".join(dict.fromkeys(result.unanswered.values()))
        messages.error(
            request,
            gettext("Not every App answered for %(people)s; what is known stays. %(reasons)s")
            % {"people": whom, "reasons": reasons},
        )
    else:
        messages.success(request, gettext("Every App was asked again about %(people)s.") % {"people": whom})


@require_POST
@role_required(Role.EDITOR)
def leave_group(request: HttpRequest, guid: UUID) -> HttpResponse:
    """Take this person out of a manual group."""
    profile = get_object_or_404(Profile, pk=guid)
    group = _asked_group(request.POST.get("group", ""))
    if group is not None:
        with telling(request):
            left = groups_store.remove_members(group.pk, [profile.pk], actor=actor_of(request))
            messages.success(
                request,
                gettext("They were taken out of %(group)s.") % {"group": group}
                if left
                else gettext("They were not in %(group)s.") % {"group": group},
            )
    return redirect("profiles:show", guid)


def _refreshed(before: Profile, *, moves: int) -> str:
    """What asking again brought, in one sentence."""
    after = Profile.objects.filter(pk=before.pk).values_list("properties", flat=True).first() or {}
    keys = before.properties.keys() | after.keys()
    changed = sum(before.properties.get(key) != after.get(key) for key in keys)
    said = gettext("nothing has changed")
    if changed:
        said = counted(ngettext("%(count)s value changed", "%(count)s values changed", changed), changed)
    if not moves:
        return gettext("Every App was asked again: %(changes)s.") % {"changes": said}
    text = ngettext(
        "Every App was asked again: %(changes)s, and %(count)s group was joined or left.",
        "Every App was asked again: %(changes)s, and %(count)s groups were joined or left.",
        moves,
    )
    return counted(text, moves, changes=said)


def _asked_group(text: str) -> Group | None:
    return Group.objects.filter(pk=int(text)).first() if text.isdecimal() and len(text) < 18 else None


def _counts(group: Group | None) -> dict[str, Any]:
    questions = {
        "everyone": Question("profile where merged_into is null"),
        "new": Question("profile where merged_into is null and created_at >= %s", [timezone.now() - _DAY]),
    }
    if group is not None:
        questions["members"] = Question("group_member where group_id = %s", [group.pk])
    return dict(count(questions))
