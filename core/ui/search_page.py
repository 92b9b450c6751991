"""The page of the search box; for htmx, while someone is typing, what is found alone."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.ui import search
from core.ui.pages import answer


@require_GET
@role_required(Role.VIEWER)
def show_found(request: HttpRequest) -> HttpResponse:
    """What is found of every kind, or all of one kind."""
    text, kind = search.clean(request.GET.get("q", "")), request.GET.get("kind", "")
    found = search.find(text, kind=kind)
    context = {
        "q": text,
        "found": found,
        "one": next((finder for finder in search.kinds() if finder.kind == kind), None),
        "most": search.MOST_OF_ONE_KIND,
        "count": sum(len(each.hits) for each in found),
        "is_more": any(each.is_more for each in found),
    }
    return answer(request, "search/results.html", "search/_typed.html", context)
