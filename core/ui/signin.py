"""Signing in and out. The email address is the login; capitals in it do not matter.

Failed attempts are counted in Redis, by address of the network and by email, in windows of fifteen minutes; beyond the
limits nobody is asked for a password until the window ends. Who signs in does not use the limits up. While Redis is
away nothing is counted: locking everybody out would be worse.
"""

from __future__ import annotations

import math
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRefresh

from core.accounts import people
from core.accounts.models import User
from core.lib import rates
from core.lib.errors import Refused
from core.ui.forms import ProductForm, render_form, told

WINDOW_SECONDS = 15 * 60
MOST_PER_EMAIL = 10
MOST_PER_ADDRESS = 50


class SignInForm(AuthenticationForm):
    """Email and password."""

    username = forms.EmailField(
        label="Email",
        widget=forms.EmailInput(attrs={"class": "field", "autocomplete": "username", "autofocus": True}),
    )
    password = forms.CharField(
        label="Password",
        strip=False,
        widget=forms.PasswordInput(attrs={"class": "field", "autocomplete": "current-password"}),
    )
    error_messages = {
        "too_many": "That were too many attempts. Try again in %(minutes)s, or ask an admin for a new password.",
        "invalid_login": "This email and password do not go together. Check both, or ask an admin for a new password.",
        "inactive": "This account is switched off. Ask an admin to switch it on.",
    }

    def clean_username(self) -> str:
        """Addresses are kept in lower case."""
        return str(self.cleaned_data["username"]).lower()

    def clean(self) -> dict[str, Any]:
        """Refuse before the password is looked at, so that a right guess beyond the limit tells nothing."""
        counted = self._counted()
        left = [rates.left_of(name, most=most, seconds=WINDOW_SECONDS) for name, most in counted.items()]
        if wait := max(left):
            minutes = math.ceil(wait / 60)
            words = "a minute" if minutes == 1 else f"{minutes} minutes"
            raise ValidationError(self.error_messages["too_many"], code="too_many", params={"minutes": words})
        try:
            return super().clean() or {}
        except ValidationError:
            for name in counted:
                rates.count(name, seconds=WINDOW_SECONDS)
            raise

    def _counted(self) -> dict[str, int]:
        """What is counted, with the most that there may be of it."""
        email = self.cleaned_data.get("username", "")
        address = find_address(self.request) if self.request else "nowhere"
        return {f"sign-in:{address}": MOST_PER_ADDRESS, f"sign-in:{email}": MOST_PER_EMAIL}


def find_address(request: HttpRequest) -> str:
    """Where a request comes from: behind a proxy the last address that it added, else the other end."""
    forwarded = request.headers.get("X-Forwarded-For", "") if settings.BEHIND_PROXY else ""
    return forwarded.rpartition(",")[2].strip() or request.META.get("REMOTE_ADDR", "") or "nowhere"


@method_decorator(login_not_required, name="dispatch")
class SignIn(LoginView):
    """The page for nobody: everyone else is sent on to where they wanted to go."""

    form_class = SignInForm
    template_name = "accounts/signin.html"
    redirect_authenticated_user = True

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """A fragment asked for after the session ended must not put this page inside another one."""
        if request.headers.get("HX-Request") == "true" and request.method == "GET":
            return HttpResponseClientRefresh()
        if request.method == "GET" and people.is_first_wanted():
            return redirect("accounts:first")
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Where nobody can sign in yet, the page says how to change that."""
        return super().get_context_data(**kwargs) | {"is_empty": not User.objects.exists()}


class FirstForm(ProductForm):
    """The first person."""

    name = forms.CharField(
        label="Your name", max_length=200, required=False, widget=forms.TextInput({"autocomplete": "name"})
    )
    email = forms.EmailField(
        label="Email",
        max_length=254,
        widget=forms.EmailInput({"autocomplete": "username", "autofocus": True}),
        help_text="You sign in with it.",
    )
    password = forms.CharField(
        label="Password",
        strip=False,
        widget=forms.PasswordInput(),
        help_text="At least 10 characters, and none of the common ones.",
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
            login(request, user)
            return told(request, "Welcome. You are the admin here: the steps below lead to your first export.", to="/")
    return render_form(request, "accounts/first.html", {"form": form})


class SignOut(LogoutView):
    """By POST alone, so that no link or image can sign someone out."""
