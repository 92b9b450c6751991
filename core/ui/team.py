"""The pages of the team: who may sign in, with which role. For admins; a thin door to `core/accounts/people.py`."""

from __future__ import annotations

import secrets

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from core.accounts import invitations, people, project, resets, two_factor
from core.accounts.models import Role, User
from core.accounts.permissions import role_required
from core.lib.errors import Refused
from core.ui.account import stay_signed_in
from core.ui.forms import ProductForm, Question, actor_of, confirmed, render_form, told

ROLES = (
    (Role.VIEWER, gettext_lazy("Viewer: looks at everything, changes nothing")),
    (Role.EDITOR, gettext_lazy("Editor: also connects Apps, makes properties, groups and schedules")),
    (Role.ADMIN, gettext_lazy("Admin: also decides who is in the team, API keys and settings")),
)
_BYTES_OF_A_PASSWORD = 12


class PersonForm(ProductForm):
    """Someone new."""

    email = forms.CharField(
        label=gettext_lazy("Email"),
        max_length=254,
        help_text=gettext_lazy("They sign in with it."),
        widget=forms.EmailInput({"autocomplete": "off"}),
    )
    name = forms.CharField(label=gettext_lazy("Name"), max_length=200, required=False)
    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=ROLES, initial=Role.VIEWER, widget=forms.RadioSelect)
    password = forms.CharField(
        label=gettext_lazy("Password"),
        required=False,
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput,
        help_text=gettext_lazy("At least 10 characters. Left empty, one is made and shown to you once."),
    )


class PersonChangesForm(PersonForm):
    """Changes to someone."""

    email = None  # type: ignore[assignment]  # Django's way to take an inherited field away
    is_active = forms.BooleanField(
        label=gettext_lazy("May sign in"),
        required=False,
        help_text=gettext_lazy("Without it the account is off and its sessions end at once."),
    )
    password = forms.CharField(
        label=gettext_lazy("New password"),
        required=False,
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput,
        help_text=gettext_lazy("Leave it empty to keep the one they have. A new one ends their sessions."),
    )
    field_order = ("name", "role", "is_active", "password")


@require_GET
@role_required(Role.ADMIN)
def list_people(request: HttpRequest) -> HttpResponse:
    """Everyone who may sign in, and those who no longer may."""
    context = {
        "team": User.objects.select_related("two_factor").order_by("-is_active", "name", "email"),
        "invited": invitations.list_open(),
        "now": timezone.now(),
        "is_required": project.current().two_factor_required,
    }
    return render(request, "accounts/team.html", context)


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
@role_required(Role.ADMIN)
def add_person(request: HttpRequest) -> HttpResponse:
    """Someone new. A password that was made for them is shown once."""
    form = PersonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        made = "" if given["password"] else secrets.token_urlsafe(_BYTES_OF_A_PASSWORD)
        with form.catching():
            user = people.create_user(
                given["email"],
                name=given["name"],
                role=given["role"],
                password=given["password"] or made,
                actor=actor_of(request),
            )
            if made:
                return render(request, "accounts/person_added.html", {"person": user, "password": made})
            return told(
                request,
                gettext("%(user)s is in the team as %(role)s.") % {"user": user, "role": user.get_role_display()},
                to=reverse("team:list"),
            )
    return render_form(request, "accounts/person_add.html", {"form": form})


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
@role_required(Role.ADMIN)
def edit_person(request: HttpRequest, person_id: int) -> HttpResponse:
    """Change someone's name, role, password, or whether they may sign in."""
    user = get_object_or_404(User, pk=person_id)
    now = {"name": user.name, "role": user.role, "is_active": user.is_active}
    form = PersonChangesForm(request.POST or None, initial=now)
    if request.method == "POST" and form.is_valid():
        given = dict(form.cleaned_data, password=form.cleaned_data["password"] or None)
        with form.catching():
            changed = people.change_user(user.pk, **given, actor=actor_of(request))
            stay_signed_in(request, changed, given)
            return told(request, gettext("%(changed)s was changed.") % {"changed": changed}, to=reverse("team:list"))
    context = {"form": form, "person": user, "two_factor_is_on": two_factor.is_on(user.pk)}
    return render_form(request, "accounts/person_edit.html", context)


@never_cache
@require_POST
@role_required(Role.ADMIN)
def make_reset_link(request: HttpRequest, person_id: int) -> HttpResponse:
    """A link by which someone chooses a new password, shown once to be given to them."""
    try:
        user, path = resets.make_path_by_hand(person_id, actor=actor_of(request))
    except Refused as error:
        messages.error(request, error.message)
        return redirect("team:edit", person_id)
    return render(request, "accounts/reset_link.html", {"person": user, "link": request.build_absolute_uri(path)})


@require_http_methods(["GET", "POST"])
@role_required(Role.ADMIN)
def turn_two_factor_off(request: HttpRequest, person_id: int) -> HttpResponse:
    """Ask, then let someone in by their password alone, who lost their device and their recovery codes."""
    user = get_object_or_404(User, pk=person_id)
    question = Question(
        gettext("Turn two-factor sign-in off for %(user)s?") % {"user": user},
        [gettext("Their password alone lets them in. Make sure that it is really them who asks."), _what_then(user)],
        verb=gettext("Turn it off"),
        back=reverse("team:edit", args=[user.pk]),
    )

    def act() -> HttpResponse:
        two_factor.turn_off(user.pk, actor=actor_of(request))
        message = gettext("%(user)s signs in with the password alone.") % {"user": user}
        return told(request, message, to=reverse("team:edit", args=[user.pk]))

    return confirmed(request, question, act)


def _what_then(user: User) -> str:
    if project.current().two_factor_required:
        return gettext("They set up a new device when they sign in next: your team wants everyone to use two factors.")
    return gettext("They can set up a new device in their account.")
