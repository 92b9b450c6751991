"""The quiet notices on every page: asked for again while something goes on that the person started, and put away."""

from __future__ import annotations

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.ui import notices
from core.ui.pages import STOP_POLLING, answer, wants_fragment
from schedules.models import Run
from schedules.runs import UNFINISHED


@require_GET
@role_required(Role.VIEWER)
def show_notices(request: HttpRequest) -> HttpResponse:
    """What the person has not seen yet; htmx asks no more once nothing goes on that they started."""
    mine = Run.objects.filter(Q(trigger=f"person:{request.user.pk}"), state__in=UNFINISHED)
    goes_on = notices.awaits(request.user.pk) or mine.exists()
    return _answer(request, status=200 if goes_on or not wants_fragment(request) else STOP_POLLING)


@require_POST
@role_required(Role.VIEWER)
def dismiss(request: HttpRequest, notice_id: int | None = None) -> HttpResponse:
    """Put one away, or all of them."""
    notices.dismiss(request.user.pk or 0, notice_id)
    return _answer(request) if wants_fragment(request) else redirect("notices:list")


def _answer(request: HttpRequest, *, status: int = 200) -> HttpResponse:
    context = {"notices": notices.unread(request.user.pk or 0)}
    return answer(request, "notices.html", "ui/_notices.html", context, status=status)
