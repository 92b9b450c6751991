"""The pages of one's own second factor: set it up by an authenticator app, recovery codes, turn it off."""

from __future__ import annotations

import segno
from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from core.accounts import project, two_factor
from core.accounts.models import Role, User
from core.accounts.permissions import role_required
from core.accounts.sessions import NEEDS_SECOND_FACTOR
from core.ui.forms import ProductForm, Question, actor_of, confirmed, render_form, telling, told
from core.ui.signin import CodeForm


class ConfirmForm(CodeForm):
    """The first code of the app."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].help_text = gettext("The six digits that the app shows now.")


class PasswordForm(ProductForm):
    """One's password, once more."""

    password = forms.CharField(
        label=gettext_lazy("Your password"),
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "current-password"}),
    )

    def __init__(self, data: object, *, user: User) -> None:
        super().__init__(data)
        self.user = user

    def clean_password(self) -> str:
        """It has to be right."""
        given = str(self.cleaned_data["password"])
        if not self.user.check_password(given):
            raise forms.ValidationError(gettext("This is not your password."))
        return given


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "POST"])
@role_required(Role.VIEWER)
def show(request: HttpRequest) -> HttpResponse:
    """Off, being set up (the QR code and the first code), or on."""
    user = get_object_or_404(User, pk=request.user.pk)
    form = ConfirmForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with form.catching():
            codes = two_factor.confirm(user.pk, form.cleaned_data["code"], actor=actor_of(request))
            request.session.pop(NEEDS_SECOND_FACTOR, None)
            return _show_codes(request, codes, title=gettext("You sign in with two factors now"))
    secret = two_factor.secret_to_scan(user.pk)
    context = {
        "form": form,
        "is_on": two_factor.is_on(user.pk),
        "is_required": project.current().two_factor_required,
        "codes_left": two_factor.codes_left(user.pk),
        "secret": " ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        "picture": draw(two_factor.name_for_app(secret, email=user.email, issuer=project.current().name))
        if secret
        else "",
    }
    return render_form(request, "accounts/two_factor.html", context)


@require_POST
@role_required(Role.VIEWER)
def begin(request: HttpRequest) -> HttpResponse:
    """Make a secret to be scanned."""
    with telling(request):
        two_factor.begin(request.user.pk or 0)
    return redirect("two_factor:show")


@never_cache
@require_http_methods(["GET", "POST"])
@role_required(Role.VIEWER)
def renew_codes(request: HttpRequest) -> HttpResponse:
    """Ask, then make new recovery codes."""
    question = Question(
        gettext("Make new recovery codes?"),
        [gettext("You get ten new codes, shown once."), gettext("Those that you have now open nothing any more.")],
        verb=gettext("Make new codes"),
        back=reverse("two_factor:show"),
        is_danger=False,
    )

    def renew() -> HttpResponse:
        codes = two_factor.renew_codes(request.user.pk or 0, actor=actor_of(request))
        return _show_codes(request, codes, title=gettext("Your new recovery codes"))

    return confirmed(request, question, renew)


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
@role_required(Role.VIEWER)
def turn_off(request: HttpRequest) -> HttpResponse:
    """Sign in with the password alone again, where the team allows it."""
    if project.current().two_factor_required:
        messages.error(
            request, gettext("Your team wants everyone to sign in with two factors. An admin can change that.")
        )
        return redirect("two_factor:show")
    user = get_object_or_404(User, pk=request.user.pk)
    form = PasswordForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        two_factor.turn_off(user.pk, actor=actor_of(request))
        return told(request, gettext("You sign in with your password alone."), to=reverse("account"))
    return render_form(request, "accounts/two_factor_off.html", {"form": form})


@sensitive_variables("text")
def draw(text: str) -> SafeString:
    """A QR code as SVG, dark on light in both themes, since not every camera reads the other way round."""
    code = segno.make(text, error="m", micro=False)
    drawn = code.svg_inline(
        title=gettext("QR code of the key"),
        svgclass="qr",
        lineclass=None,
        omitsize=True,
        border=3,
        dark="#000",
        light="#fff",
    )
    return mark_safe(drawn)  # noqa: S308  the package's own drawing


def _show_codes(request: HttpRequest, codes: list[str], *, title: str) -> HttpResponse:
    return render(request, "accounts/recovery_codes.html", {"codes": codes, "title": title})
