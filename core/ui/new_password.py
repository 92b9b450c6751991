"""The pages for whoever forgot their password: ask for a link, follow it."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, gettext_lazy, gettext_noop
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from core.accounts import mail, resets
from core.lib.errors import NotFound
from core.ui import attempts
from core.ui.forms import ProductForm, render_form

MOST_PER_EMAIL = 5
MOST_PER_ADDRESS = 20
SENT = gettext_noop("If someone signs in with this address, a link is on its way to it. It is good for an hour.")


class AskForm(ProductForm):
    """Where to send the link."""

    email = forms.EmailField(
        label=gettext_lazy("Email"),
        max_length=254,
        help_text=gettext_lazy("The one you sign in with."),
        widget=forms.EmailInput({"autocomplete": "username", "autofocus": True}),
        error_messages={"invalid": gettext_lazy("This is not an email address.")},
    )


class PasswordForm(ProductForm):
    """A new password."""

    password = forms.CharField(
        label=gettext_lazy("New password"),
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput,
        help_text=gettext_lazy("At least 10 characters. It ends all your sessions."),
    )


@login_not_required
@require_http_methods(["GET", "POST"])
def ask(request: HttpRequest) -> HttpResponse:
    """Ask for a link. The answer is the same whoever's the address is."""
    if not mail.is_on():
        return render(request, "accounts/password_without_email.html")
    form = AskForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        email = form.cleaned_data["email"].lower()
        address = attempts.find_address(request)
        counted = {f"new-password:{address}": MOST_PER_ADDRESS, f"new-password:{email}": MOST_PER_EMAIL}
        if wait := attempts.wait_in_words(counted):
            form.add_error(
                None,
                gettext("That were too many attempts. Try again in %(wait)s, or ask an admin of your team.")
                % {"wait": wait},
            )
        else:
            attempts.note(counted)
            resets.ask(email, root=request.build_absolute_uri("/"))
            messages.success(request, gettext(SENT))
            return redirect("accounts:login")
    return render_form(request, "accounts/password_ask.html", {"form": form})


@never_cache
@sensitive_post_parameters("password")
@login_not_required
@require_http_methods(["GET", "POST"])
def choose(request: HttpRequest, who: str, token: str) -> HttpResponse:
    """Follow a link and choose a password."""
    form = PasswordForm(request.POST or None)
    try:
        user = resets.find(who, token)
        if request.method == "POST" and form.is_valid():
            with form.catching():
                resets.reset(who, token, form.cleaned_data["password"])
                messages.success(request, gettext("Your password is changed. Sign in with it."))
                return redirect("accounts:login")
    except NotFound as error:
        return render(request, "accounts/link_gone.html", {"why": error.message}, status=404)
    return render_form(request, "accounts/password_choose.html", {"form": form, "person": user})
