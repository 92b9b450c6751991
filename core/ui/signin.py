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
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django_htmx.http import HttpResponseClientRefresh

from core.accounts import people
from core.accounts.models import User
from core.lib import rates

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


class SignOut(LogoutView):
    """By POST alone, so that no link or image can sign someone out."""
