"""The pages of the team: who may sign in, with which role. For admins; a thin door to `core/accounts/people.py`."""

from __future__ import annotations

import secrets
from typing import Any

from django import forms
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from core.accounts import people
from core.accounts.models import Role, User
from core.accounts.permissions import role_required
from core.ui.forms import ProductForm, actor_of, render_form, told

ROLES = (
    (Role.VIEWER, "Viewer: looks at everything, changes nothing"),
    (Role.EDITOR, "Editor: also connects Apps, makes properties, groups and schedules"),
    (Role.ADMIN, "Admin: also decides who is in the team, API keys and settings"),
)
_BYTES_OF_A_PASSWORD = 12


class PersonForm(ProductForm):
    """Someone new."""

    email = forms.CharField(
        label="Email",
        max_length=254,
        help_text="They sign in with it.",
        widget=forms.EmailInput({"autocomplete": "off"}),
    )
    name = forms.CharField(label="Name", max_length=200, required=False)
    role = forms.ChoiceField(label="Role", choices=ROLES, initial=Role.VIEWER, widget=forms.RadioSelect)
    password = forms.CharField(
        label="Password",
        required=False,
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput,
        help_text="At least 10 characters. Left empty, one is made and shown to you once.",
    )


class PersonChangesForm(PersonForm):
    """Changes to someone."""

    email = None  # type: ignore[assignment]  # Django's way to take an inherited field away
    is_active = forms.BooleanField(
        label="May sign in", required=False, help_text="Without it the account is off and its sessions end at once."
    )
    password = forms.CharField(
        label="New password",
        required=False,
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput,
        help_text="Leave it empty to keep the one they have. A new one ends their sessions.",
    )
    field_order = ("name", "role", "is_active", "password")


@require_GET
@role_required(Role.ADMIN)
def list_people(request: HttpRequest) -> HttpResponse:
    """Everyone who may sign in, and those who no longer may."""
    team = User.objects.order_by("-is_active", "name", "email")
    return render(request, "accounts/team.html", {"team": team})


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
            return told(request, f"{user} is in the team as {user.get_role_display()}.", to=reverse("team:list"))
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
            _stay_signed_in(request, changed, given)
            return told(request, f"{changed} was changed.", to=reverse("team:list"))
    return render_form(request, "accounts/person_edit.html", {"form": form, "person": user})


# ---------------------------------------------------------------- one's own account


class AccountForm(ProductForm):
    """One's own name and password."""

    name = forms.CharField(label="Name", max_length=200, required=False, help_text="As your team sees it.")
    current_password = forms.CharField(
        label="Current password",
        required=False,
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "current-password"}),
        help_text="Only needed for a new password.",
    )
    password = forms.CharField(
        label="New password",
        required=False,
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput,
        help_text="At least 10 characters. It ends your sessions on other machines.",
    )

    def __init__(self, data: Any, *, user: User) -> None:
        super().__init__(data, initial={"name": user.name})
        self.user = user

    def clean_current_password(self) -> str:
        """It has to be right, or to be empty when no new one is given."""
        given = str(self.cleaned_data["current_password"])
        wants_new = bool(self.data.get("password"))
        if (given or wants_new) and not self.user.check_password(given):
            raise forms.ValidationError("This is not your current password.")
        return given


@never_cache
@sensitive_post_parameters("current_password", "password")
@require_http_methods(["GET", "POST"])
@role_required(Role.VIEWER)
def edit_account(request: HttpRequest) -> HttpResponse:
    """One's own name and password."""
    user = get_object_or_404(User, pk=request.user.pk)
    form = AccountForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        given = {"name": form.cleaned_data["name"], "password": form.cleaned_data["password"] or None}
        with form.catching():
            changed = people.change_user(user.pk, **given, actor=actor_of(request))
            _stay_signed_in(request, changed, given)
            return told(request, "Your account was changed.", to=reverse("account"))
    return render_form(request, "accounts/account.html", {"form": form, "person": user})


def _stay_signed_in(request: HttpRequest, user: User, given: dict[str, Any]) -> None:
    """A new password ends every session of its person but the one it was typed in."""
    if given["password"] and user.pk == request.user.pk:
        update_session_auth_hash(request, user)
