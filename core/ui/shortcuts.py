"""Keyboard shortcuts: which there are, and switching them off, for whoever speaks to the computer or types by accident.

A cookie keeps the choice: it belongs to the browser and its keyboard, not to the person.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.ui.forms import told

COOKIE = "shortcuts"
_OFF = "off"
_YEAR = 365 * 24 * 3600


def are_on(request: HttpRequest) -> bool:
    """Unless someone switched them off in this browser."""
    return request.COOKIES.get(COOKIE) != _OFF


@require_http_methods(["GET", "POST"])
@role_required(Role.VIEWER)
def switch_shortcuts(request: HttpRequest) -> HttpResponse:
    """What the keys do, and the button that switches them off or on."""
    if request.method != "POST":
        return render(request, "accounts/shortcuts.html")
    turn_on = request.POST.get("shortcuts") == "on"
    response = told(
        request,
        gettext("Keyboard shortcuts are on.") if turn_on else gettext("Keyboard shortcuts are off."),
        to=reverse("shortcuts"),
    )
    if turn_on:
        response.delete_cookie(COOKIE, samesite="Lax")
    else:
        secure = request.is_secure()
        response.set_cookie(COOKIE, _OFF, max_age=_YEAR, httponly=True, samesite="Lax", secure=secure)
    return response
