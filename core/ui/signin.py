"""Signing in and out. The email address is the login; capitals in it do not matter."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import method_decorator
from django_htmx.http import HttpResponseClientRefresh


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
        "invalid_login": "This email and password do not go together. Check both, or ask an admin for a new password.",
        "inactive": "This account is switched off. Ask an admin to switch it on.",
    }

    def clean_username(self) -> str:
        """Addresses are kept in lower case."""
        return str(self.cleaned_data["username"]).lower()


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
        return super().dispatch(request, *args, **kwargs)


class SignOut(LogoutView):
    """By POST alone, so that no link or image can sign someone out."""
