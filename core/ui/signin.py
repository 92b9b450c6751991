"""Signing in and out. The email address is the login; capitals in it do not matter.

Failed attempts are counted by address of the network and by email; beyond the limits nobody is asked for a password
until the window ends. Who signs in does not use the limits up.

Whoever has a second factor is asked for its code next. Until then the session belongs to nobody: it only remembers
whose password was right, for ten minutes.
"""

from __future__ import annotations

import time
from typing import Any

from django import forms
from django.contrib import auth, messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, resolve_url
from django.utils.crypto import constant_time_compare
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRefresh

from core.accounts import people, project, two_factor
from core.accounts.models import User
from core.accounts.sessions import NEEDS_SECOND_FACTOR
from core.ui import attempts
from core.ui.forms import ProductForm, render_form

MOST_PER_EMAIL = 10
MOST_PER_ADDRESS = 50
SECONDS_FOR_THE_CODE = 600
_PASSWORD_WAS_RIGHT = "password_was_right"  # noqa: S105  a key in the session


class SignInForm(AuthenticationForm):
    """Email and password."""

    username = forms.EmailField(
        label=gettext_lazy("Email"),
        widget=forms.EmailInput(attrs={"class": "field", "autocomplete": "username", "autofocus": True}),
    )
    password = forms.CharField(
        label=gettext_lazy("Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"class": "field", "autocomplete": "current-password"}),
    )
    error_messages = {
        "too_many": gettext_lazy(
            "That were too many attempts. Try again in %(wait)s, or ask an admin for a new password."
        ),
        "invalid_login": gettext_lazy(
            "This email and password do not go together. Check both, or ask for a new password."
        ),
        "inactive": gettext_lazy("This account is switched off. Ask an admin to switch it on."),
    }

    def clean_username(self) -> str:
        """Addresses are kept in lower case."""
        return str(self.cleaned_data["username"]).lower()

    def clean(self) -> dict[str, Any]:
        """Refuse before the password is looked at, so that a right guess beyond the limit tells nothing."""
        counted = self._counted()
        if wait := attempts.wait_in_words(counted):
            raise ValidationError(self.error_messages["too_many"], code="too_many", params={"wait": wait})
        try:
            return super().clean() or {}
        except ValidationError:
            attempts.note(counted)
            raise

    def _counted(self) -> dict[str, int]:
        """What is counted, with the most that there may be of it."""
        email = self.cleaned_data.get("username", "")
        address = attempts.find_address(self.request) if self.request else "nowhere"
        return {f"sign-in:{address}": MOST_PER_ADDRESS, f"sign-in:{email}": MOST_PER_EMAIL}


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

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """The password was right: the code comes next for whoever has a second factor."""
        user = form.get_user()
        if not isinstance(user, User) or not two_factor.is_on(user.pk):
            begin_session(self.request, user)
            return HttpResponseRedirect(self.get_success_url())
        self.request.session[_PASSWORD_WAS_RIGHT] = {
            "person": user.pk,
            "password": user.get_session_auth_hash(),  # changes with the password, and says nothing about it
            "until": time.time() + SECONDS_FOR_THE_CODE,
            "next": self.get_redirect_url(),
        }
        return redirect("accounts:code")


class SignOut(LogoutView):
    """By POST alone, so that no link or image can sign someone out."""


class CodeForm(ProductForm):
    """A code of the authenticator app, or a recovery code."""

    code = forms.CharField(
        label=gettext_lazy("Code"),
        max_length=40,
        help_text=gettext_lazy("The six digits that your authenticator app shows, or one of your recovery codes."),
        widget=forms.TextInput({"autocomplete": "one-time-code", "autocapitalize": "off", "spellcheck": "false"}),
    )


@never_cache
@sensitive_post_parameters("code")
@login_not_required
@require_http_methods(["GET", "POST"])
def enter_code(request: HttpRequest) -> HttpResponse:
    """The second step for whoever has a second factor."""
    user, waiting = _find_waiting(request)
    if user is None:
        messages.error(request, gettext("Enter your email and password first. They are remembered for ten minutes."))
        return redirect("accounts:login")
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with form.catching():
            if two_factor.check(user.pk, form.cleaned_data["code"]):
                del request.session[_PASSWORD_WAS_RIGHT]
                begin_session(request, user)
                return redirect(waiting["next"] or resolve_url("home"))
            form.add_error(
                "code", gettext("This code is wrong or was used before. Wait for the next one, and try that.")
            )
    if not form.errors:
        form.fields["code"].widget.attrs["autofocus"] = True
    return render_form(request, "accounts/code.html", {"form": form, "email": user.email})


def begin_session(request: HttpRequest, user: Any) -> None:
    """Sign someone in whose password and code were right; where the team wants it, setting up a code comes first."""
    auth.login(request, user)
    if project.current().two_factor_required and not two_factor.is_on(user.pk):
        request.session[NEEDS_SECOND_FACTOR] = True


def _find_waiting(request: HttpRequest) -> tuple[User | None, dict[str, Any]]:
    """Whose password was right a moment ago and still is."""
    waiting: dict[str, Any] = request.session.get(_PASSWORD_WAS_RIGHT) or {}
    if not waiting or waiting["until"] < time.time():
        return None, {}
    user = User.objects.filter(pk=waiting["person"], is_active=True).first()
    if user is None or not constant_time_compare(user.get_session_auth_hash(), waiting["password"]):
        return None, {}
    return user, waiting
