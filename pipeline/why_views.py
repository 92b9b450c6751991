"""Why is this person in this group, or not? A question on the group's page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET

from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.ui.pages import answer
from groups.models import Group, GroupMember
from pipeline.why import explain_one
from profiles import queries

MOST = 500  # characters of what is asked for


@require_GET
@role_required(Role.VIEWER)
def show_why(request: HttpRequest, group_id: int) -> HttpResponse:
    """The answer for whoever is meant by a guid or by the value of a unique property."""
    group = get_object_or_404(Group, pk=group_id)
    who = request.GET.get("who", "").replace("\0", "").strip()[:MOST]
    rules = queries.rules_in_use()
    found = queries.search(who, rules)[:1] if who else []
    context = {"group": group, "who": who, "why": None, "person": None}
    for profile in found:
        member = GroupMember.objects.filter(group=group, profile_id=profile.pk).first()
        context["why"] = explain_one(profile, group, member.created_at if member else None)
        context["person"] = queries.name_people([profile], rules)[0]
        context["profile"] = profile
    return answer(request, "groups/why.html", "groups/_why.html", context)
