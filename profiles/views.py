"""The page of property rules."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.ui.pages import answer
from profiles import queries


@require_GET
@role_required(Role.VIEWER)
def list_rules(request: HttpRequest) -> HttpResponse:
    """Every property rule: what it is, where it comes from, whether it is asked."""
    rules = queries.rules_in_use()
    context = {
        "rules": queries.with_sources(rules),
        "unique": sum(1 for rule in rules if rule.is_unique),
        "paused": sum(1 for rule in rules if rule.paused_reason),
    }
    return answer(request, "properties/list.html", "properties/list.html", context)
