"""The pages of groups: the list, one group, its members and its log."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.ui import causes, notices
from core.ui.pages import PAGE_SIZE, STOP_POLLING, answer, read_guid, read_place, wants_fragment, write_place
from core.ui.remembering import remembers
from core.ui.sorting import arrange, part_of, read_sort
from core.ui.used_by import users_of
from core.work.models import UNFINISHED, Work, WorkState
from groups import pages
from groups.forms import OneForm
from groups.models import Group
from groups.recalculation import KIND, subject_of
from profiles import queries

_RECENT = 8


@require_GET
@role_required(Role.VIEWER)
@remembers()
def list_groups(request: HttpRequest) -> HttpResponse:
    """Every group with its size and how it moved."""
    groups = sorted(Group.objects.all(), key=lambda group: group.name.lower())
    sort = read_sort(request, pages.SORTS, usual="name")
    context: dict[str, Any] = {"sort": sort}
    if sort.key in pages.PLAIN_SORTS:  # then only those of the page are counted
        context["part"] = part = part_of(arrange(groups, sort, pages.PLAIN_SORTS), request)
        sized = pages.with_sizes(part.rows)
    else:
        context["part"] = page = part_of(arrange(pages.with_sizes(groups), sort, pages.SIZE_SORTS), request)
        sized = list(page.rows)
    words = pages.sentences([each.group for each in sized])
    context["groups"] = [(each, words.get(each.group.pk, ())) for each in sized]
    return answer(request, "groups/list.html", "groups/list.html", context)


@require_GET
@role_required(Role.VIEWER)
def show_group(request: HttpRequest, group_id: int) -> HttpResponse:
    """One group: its rules in words, its size over time, its members, who joined and left lately."""
    group = get_object_or_404(Group, pk=group_id)
    sized = pages.with_sizes([group])[0]
    rules = queries.rules_in_use()
    before = read_guid(request.GET.get("before"))
    found = pages.member_ids(group.pk, before=before, limit=PAGE_SIZE + 1)
    joined = dict(found[:PAGE_SIZE])
    people = queries.name_people(queries.by_ids(list(joined)), rules)
    log = pages.log_of_group(group.pk, limit=_RECENT) if not wants_fragment(request) else []
    movers = {each.profile.pk: each for each in queries.name_people(queries.by_ids([m.profile_id for m in log]), rules)}
    named = causes.name_all(move.cause for move in log)
    context = {
        "group": group,
        "sized": sized,
        **_progress(group),
        "one": OneForm(),
        "sentence": pages.sentences([group]).get(group.pk),
        "members": [(person, joined[person.profile.pk]) for person in people],
        "next_before": found[PAGE_SIZE - 1][0] if len(found) > PAGE_SIZE else None,
        "is_later_page": before is not None,
        "log": [(move, movers.get(move.profile_id), named.get(move.cause)) for move in log],
    }
    return answer(request, "groups/detail.html", "groups/_members.html", context)


@require_GET
@role_required(Role.VIEWER)
def show_progress(request: HttpRequest, group_id: int) -> HttpResponse:
    """How far the calculation of a group has come; htmx asks no more once it has ended."""
    context = _progress(get_object_or_404(Group, pk=group_id))
    status = 200 if context["progress"] else STOP_POLLING
    if not context["progress"]:  # they watched it end
        notices.see(request.user.pk, subject_of(group_id))
    return render(request, "groups/_progress.html", context, status=status)


@require_GET
@role_required(Role.VIEWER)
def show_log(request: HttpRequest, group_id: int) -> HttpResponse:
    """Everyone who joined or left, page by page."""
    group = get_object_or_404(Group, pk=group_id)
    before = read_place(request.GET.get("before"))
    found = pages.log_of_group(group.pk, before=before, limit=PAGE_SIZE + 1)
    log = found[:PAGE_SIZE]
    people = queries.name_people(queries.by_ids([move.profile_id for move in log]), queries.rules_in_use())
    movers = {each.profile.pk: each for each in people}
    named = causes.name_all(move.cause for move in log)
    context = {
        "group": group,
        "log": [(move, movers.get(move.profile_id), named.get(move.cause)) for move in log],
        "next_before": write_place(log[-1].at, log[-1].pk) if len(found) > PAGE_SIZE else None,
        "is_later_page": before is not None,
    }
    return answer(request, "groups/log.html", "groups/_log.html", context)


@require_GET
@role_required(Role.VIEWER)
def show_users(request: HttpRequest, group_id: int) -> HttpResponse:
    """What uses a group, for its page: other groups, exports, subscriptions."""
    group = get_object_or_404(Group, pk=group_id)
    return answer(request, "groups/users.html", "groups/_users.html", {"group": group, "users": users_of(group)})


def _progress(group: Group) -> dict[str, Any]:
    """Done and total of the calculation under way, and what failed when there is none."""
    work = Work.objects.filter(kind=KIND, subject=str(group.pk)).order_by("-id").first()
    is_running = work is not None and work.state in UNFINISHED
    failed = work.error if work is not None and work.state == WorkState.FAILED else ""
    return {"group": group, "progress": work if is_running else None, "failed": failed}
