"""The page of one's own account: name, password, time zone, number format, and where one is signed in."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import logout, update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from core.accounts import people, project, sessions, two_factor
from core.accounts.models import NumberFormat, Role, User
from core.accounts.permissions import role_required
from core.ui.browsers import name_browser
from core.ui.forms import LongSelect, ProductForm, actor_of, render_form, told
from core.ui.project_settings import list_zones
from core.ui.wording import city_of, counted


class AccountForm(ProductForm):
    """One's own name, password, and how times and numbers are shown."""

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=200, required=False, help_text=gettext_lazy("As your team sees it.")
    )
    time_zone = forms.ChoiceField(
        label=gettext_lazy("Time zone"),
        required=False,
        widget=LongSelect,
        help_text=gettext_lazy(
            "Times on the pages are shown in it. Schedules, groups and exports keep to the project’s."
        ),
    )
    number_format = forms.ChoiceField(
        label=gettext_lazy("Numbers"),
        required=False,
        choices=NumberFormat.choices,
        help_text=gettext_lazy("How numbers are written on the pages. Exports and the API are not touched by it."),
    )
    current_password = forms.CharField(
        label=gettext_lazy("Current password"),
        required=False,
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "current-password"}),
        help_text=gettext_lazy("Only needed for a new password."),
    )
    password = forms.CharField(
        label=gettext_lazy("New password"),
        required=False,
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput,
        help_text=gettext_lazy("At least 10 characters. It ends your sessions on other machines."),
    )

    def __init__(self, data: Any, *, user: User) -> None:
        super().__init__(data, initial={name: getattr(user, name) for name in ("name", "time_zone", "number_format")})
        self.user = user
        here = gettext("The project’s: %(city_of)s") % {"city_of": city_of(project.current().time_zone.key)}
        choices = [("", here), *list_zones(user.time_zone)]
        self.fields["time_zone"].choices = choices  # type: ignore[attr-defined]  # a choice field's own

    def clean_current_password(self) -> str:
        """It has to be right, or to be empty when no new one is given."""
        given = str(self.cleaned_data["current_password"])
        wants_new = bool(self.data.get("password"))
        if (given or wants_new) and not self.user.check_password(given):
            raise forms.ValidationError(gettext("This is not your current password."))
        return given


@never_cache
@sensitive_post_parameters("current_password", "password")
@require_http_methods(["GET", "POST"])
@role_required(Role.VIEWER)
def edit_account(request: HttpRequest) -> HttpResponse:
    """One's own name, password, times and numbers; whether there is a second factor; where one is signed in."""
    user = get_object_or_404(User, pk=request.user.pk)
    form = AccountForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        given = {name: form.cleaned_data[name] for name in ("name", "time_zone")}
        given |= {name: form.cleaned_data[name] or None for name in ("number_format", "password")}
        with form.catching():
            changed = people.change_user(user.pk, **given, actor=actor_of(request))
            stay_signed_in(request, changed, given)
            return told(request, gettext("Your account was changed."), to=reverse("account"))
    here = sessions.name_of(request.session.session_key)
    rows = [(sessions.name_of(each.session_key), name_browser(each.agent), each) for each in sessions.list_of(user.pk)]
    context = {
        "form": form,
        "person": user,
        "here": here,
        "rows": sorted(rows, key=lambda row: row[0] != here),
        "two_factor_is_on": two_factor.is_on(user.pk),
        "codes_left": two_factor.codes_left(user.pk),
    }
    return render_form(request, "accounts/account.html", context)


@require_POST
@role_required(Role.VIEWER)
def end_session(request: HttpRequest) -> HttpResponse:
    """Sign one of one's own browsers out."""
    name = request.POST.get("session", "")
    if name == sessions.name_of(request.session.session_key):
        logout(request)
        return redirect("accounts:login")
    user = get_object_or_404(User, pk=request.user.pk)
    ended = sessions.end(user, name, actor=actor_of(request))
    message = gettext("That session has ended.") if ended else gettext("That session had ended already.")
    return told(request, message, to=reverse("account"))


@require_POST
@role_required(Role.VIEWER)
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """Sign all of one's own browsers out but this one."""
    user = get_object_or_404(User, pk=request.user.pk)
    count = sessions.end_others(user, request.session.session_key, actor=actor_of(request))
    message = counted(
        ngettext(
            "%(count)s session ended. You are signed in here alone.",
            "%(count)s sessions ended. You are signed in here alone.",
            count,
        ),
        count,
    )
    return told(request, message, to=reverse("account"))


def stay_signed_in(request: HttpRequest, user: User, given: dict[str, Any]) -> None:
    """A new password ends every session of its person but the one it was typed in."""
    if given["password"] and user.pk == request.user.pk:
        update_session_auth_hash(request, user)
