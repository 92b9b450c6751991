"""The pages of people: the list with its search, one person, everything that ever changed about them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_GET

from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.ui import causes
from core.ui.counting import Question, count
from core.ui.pages import PAGE_SIZE, answer, read_guid, read_place, write_place
from core.work.models import UNFINISHED, Work
from groups import pages as group_pages
from groups.models import Group
from pipeline import pages
from profiles import queries
from profiles.models import Profile

_DAY = timedelta(days=1)


@require_GET
@role_required(Role.VIEWER)
def list_profiles(request: HttpRequest) -> HttpResponse:
    """Everyone, the latest first; or those that a search or a group picks."""
    text = request.GET.get("q", "").strip()
    rules = queries.rules_in_use()
    group = _asked_group(request.GET.get("group", ""))
    before = read_guid(request.GET.get("before"))
    if text:
        found = queries.search(text, rules)
        if group is not None:
            members = group_pages.which_are_members(group.pk, [profile.pk for profile in found])
            found = [profile for profile in found if profile.pk in members]
        people, more = found[: queries.MOST_FOUND], len(found) > queries.MOST_FOUND
    else:
        page = (
            queries.newest(before=before, limit=PAGE_SIZE + 1)
            if group is None
            else pages.group_filter(group.pk, before=before, limit=PAGE_SIZE + 1)
        )
        people, more = page[:PAGE_SIZE], len(page) > PAGE_SIZE
    context = {
        "q": text,
        "group": group,
        "groups": Group.objects.order_by("name").only("id", "name")[:200],
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
    groups = group_pages.groups_of([profile.pk]).get(profile.pk, [])
    context = {
        "profile": profile,
        "person": queries.name_people([profile], rules)[0],
        "lines": [(line, named.get(line.cause)) for line in lines],
        "known": sum(1 for line in lines if line.text),
        "rejected": sum(1 for line in lines if line.rejected),
        "groups": group_pages.with_sentences(groups),
        "days": pages.timeline(profile, history, rules, named),
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
