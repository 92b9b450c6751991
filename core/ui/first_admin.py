"""The door of an empty installation: the first person, made in the browser."""

from __future__ import annotations

from django import forms
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from core.accounts import people
from core.lib.errors import Refused
from core.ui.forms import ProductForm, render_form, told
from core.ui.signin import begin_session


class FirstForm(ProductForm):
    """The first person."""

    name = forms.CharField(
        label=gettext_lazy("Your name"),
        max_length=200,
        required=False,
        widget=forms.TextInput({"autocomplete": "name"}),
    )
    email = forms.EmailField(
        label=gettext_lazy("Email"),
        max_length=254,
        widget=forms.EmailInput({"autocomplete": "username", "autofocus": True}),
        help_text=gettext_lazy("You sign in with it."),
    )
    password = forms.CharField(
        label=gettext_lazy("Password"),
        strip=False,
        widget=forms.PasswordInput(),
        help_text=gettext_lazy("At least 10 characters, and none of the common ones."),
    )


@login_not_required
@never_cache
@require_http_methods(["GET", "POST"])
def make_first_admin(request: HttpRequest) -> HttpResponse:
    """The door of an empty installation: whoever comes first becomes its admin. Shut as soon as there is anyone."""
    if not people.is_first_wanted():
        return redirect("home" if request.user.is_authenticated else "accounts:login")
    form = FirstForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with form.catching():
            try:
                user = people.create_first_admin(**form.cleaned_data)
            except Refused:  # someone was a moment faster
                return redirect("accounts:login")
            begin_session(request, user)
            return told(
                request, gettext("Welcome. You are the admin here: the steps below lead to your first export."), to="/"
            )
    return render_form(request, "accounts/first.html", {"form": form})
