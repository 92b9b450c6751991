"""The page of Apps."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from apps_connectors import pages
from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.ui.pages import answer


@require_GET
@role_required(Role.VIEWER)
def list_apps(request: HttpRequest) -> HttpResponse:
    """Every App: whether it answers, and what uses it."""
    apps = pages.list_apps()
    context = {"apps": apps, "silent": sum(1 for each in apps if each.look == "bad")}
    return answer(request, "apps/list.html", "apps/list.html", context)
