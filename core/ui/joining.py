"""The page that an invitation leads to: someone chooses a name and a password, and is in the team."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from core.accounts import invitations, project
from core.lib.errors import NotFound
from core.ui.forms import ProductForm, render_form
from core.ui.signin import begin_session


class JoinForm(ProductForm):
    """Who one is."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=200,
        help_text=gettext_lazy("As your team sees it."),
        widget=forms.TextInput({"autocomplete": "name"}),
    )
    password = forms.CharField(
        label=gettext_lazy("Password"),
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput,
        help_text=gettext_lazy("At least 10 characters."),
    )


@never_cache
@sensitive_post_parameters("password")
@login_not_required
@require_http_methods(["GET", "POST"])
def join(request: HttpRequest, token: str) -> HttpResponse:
    """Follow an invitation."""
    form = JoinForm(request.POST or None)
    try:
        invitation = invitations.find(token)
        if request.method == "POST" and form.is_valid():
            given = form.cleaned_data
            with form.catching():
                user = invitations.accept(token, name=given["name"], password=given["password"])
                begin_session(request, user)
                messages.success(
                    request,
                    gettext("Welcome, %(user)s. You are in the team as %(role)s.")
                    % {"user": user, "role": user.get_role_display().lower()},
                )
                return redirect("home")
    except NotFound as error:
        return render(request, "accounts/link_gone.html", {"why": error.message}, status=404)
    context = {"form": form, "invitation": invitation, "project": project.current().name}
    return render_form(request, "accounts/join.html", context)
