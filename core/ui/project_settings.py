"""The settings page: what the team decides, and the switch that stops everything that leaves. For admins."""

from __future__ import annotations

from functools import cache
from typing import Any
from zoneinfo import available_timezones

import phonenumbers
from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from core.accounts import project
from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.accounts.project import ProjectSettings
from core.ui.forms import LongSelect, ProductForm, actor_of, render_form, told


def list_zones(known: str = "") -> list[tuple[str, str]]:
    """Time zones to choose from, and the one that is in use in any case."""
    names = _zone_names() | {known} - {"", "UTC"}
    return [("UTC", "UTC"), *((name, name.replace("_", " ")) for name in sorted(names))]


@cache  # hundreds of files are looked through
def _zone_names() -> frozenset[str]:
    return frozenset(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "posix/")))


def _regions() -> list[tuple[str, str]]:
    codes = sorted(phonenumbers.SUPPORTED_REGIONS)
    return [(code, f"{code} (+{phonenumbers.country_code_for_region(code)})") for code in codes]


class SettingsForm(ProductForm):
    """What the team decides."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=200,
        help_text=gettext_lazy("Of your shop or company; it stands on every page."),
    )
    time_zone = forms.ChoiceField(
        label=gettext_lazy("Time zone"),
        choices=list_zones,
        widget=LongSelect,
        help_text=gettext_lazy(
            "Days begin here, for groups and schedules. Times are shown in it to whoever chose no other one in"
            " their account."
        ),
    )
    phone_region = forms.ChoiceField(
        label=gettext_lazy("Phone region"),
        choices=_regions,
        widget=LongSelect,
        help_text=gettext_lazy("For phone numbers that are written without a country."),
    )
    blocked_values = forms.CharField(
        label=gettext_lazy("Values that never identify anyone"),
        required=False,
        widget=forms.Textarea({"rows": 6, "spellcheck": "false"}),
        help_text=gettext_lazy("One on each line. Two people who share such a value stay two people."),
    )
    identity_limit = forms.IntegerField(
        label=gettext_lazy("Anonymous ids that one person may have"),
        min_value=1,
        help_text=gettext_lazy(
            "Further ones are not kept: an id that so many devices share says nothing about a person."
        ),
    )
    user_id_key = forms.CharField(
        label=gettext_lazy("userId of tracking clients stands for"),
        max_length=60,
        help_text=gettext_lazy("The key of a unique property, such as user_id."),
    )
    event_retention_days = forms.IntegerField(label=gettext_lazy("Days that events are kept"), min_value=7)
    log_retention_days = forms.IntegerField(
        label=gettext_lazy("Days that logs are kept"),
        min_value=7,
        help_text=gettext_lazy("What changed for whom, and who joined and left."),
    )
    delivery_retention_days = forms.IntegerField(
        label=gettext_lazy("Days that deliveries are kept"),
        min_value=1,
        help_text=gettext_lazy(
            "Outbound events with what was sent and answered. What has yet to be sent is never forgotten."
        ),
    )
    two_factor_required = forms.BooleanField(
        label=gettext_lazy("Everyone has to use two factors"),
        required=False,
        help_text=gettext_lazy("Whoever has none sets it up at their next sign-in, before anything else."),
    )
    guard_share = forms.FloatField(
        label=gettext_lazy("Guard: share in percent"),
        min_value=0.1,
        max_value=100,
        widget=forms.NumberInput({"step": "any"}),
        help_text=gettext_lazy(
            "A pass that would blank or remove more than this share of what is there halts and asks a person."
        ),
    )
    guard_minimum = forms.IntegerField(
        label=gettext_lazy("Guard: at least"),
        min_value=1,
        help_text=gettext_lazy("Fewer values or people than this never halt a pass."),
    )

    def __init__(self, data: Any, *, current: ProjectSettings) -> None:
        super().__init__(data, initial=_shown(current))
        self.fields["time_zone"].choices = list_zones(str(current.time_zone))  # type: ignore[attr-defined]  # its own

    def changes(self) -> dict[str, Any]:
        """What was given, as `project.update` takes it."""
        given = dict(self.cleaned_data)
        given["blocked_values"] = given["blocked_values"].splitlines()
        given["guard_share"] = given["guard_share"] / 100
        return given


@require_http_methods(["GET", "POST"])
@role_required(Role.ADMIN)
def edit_settings(request: HttpRequest) -> HttpResponse:
    """See and change the settings."""
    project.forget()  # another process may have changed them
    current = project.current()
    form = SettingsForm(request.POST or None, current=current)
    if request.method == "POST" and form.is_valid():
        with form.catching():
            project.update(form.changes(), actor=actor_of(request))
            return told(request, gettext("The settings are saved."), to=reverse("settings:list"))
    return render_form(request, "accounts/settings.html", {"form": form, "current": current})


class StopForm(ProductForm):
    """Why nothing leaves."""

    reason = forms.CharField(
        label=gettext_lazy("Why"),
        max_length=300,
        required=False,
        help_text=gettext_lazy("Everyone sees it below the menu."),
    )


@require_http_methods(["GET", "POST"])
@role_required(Role.ADMIN)
def stop_sending(request: HttpRequest) -> HttpResponse:
    """Stop every export and outbound event, until someone starts them again."""
    form = StopForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with form.catching():
            changes = {"sending_stopped": True, "sending_stopped_reason": form.cleaned_data["reason"]}
            project.update(changes, actor=actor_of(request))
            return told(request, gettext("Sending is stopped: nothing leaves."), to=reverse("settings:list"))
    return render_form(request, "accounts/stop_sending.html", {"form": form})


@require_POST
@role_required(Role.ADMIN)
def start_sending(request: HttpRequest) -> HttpResponse:
    """Let things leave again; what was owed meanwhile goes first."""
    project.update({"sending_stopped": False, "sending_stopped_reason": ""}, actor=actor_of(request))
    return told(request, gettext("Sending is on again. What was owed meanwhile goes now."), to=reverse("settings:list"))


def _shown(current: ProjectSettings) -> dict[str, Any]:
    return {
        "name": current.name,
        "time_zone": str(current.time_zone),
        "phone_region": current.phone_region,
        "blocked_values": "\n".join(sorted(current.blocked_values)),
        "identity_limit": current.identity_limit,
        "user_id_key": current.user_id_key,
        "event_retention_days": current.event_retention_days,
        "log_retention_days": current.log_retention_days,
        "delivery_retention_days": current.delivery_retention_days,
        "two_factor_required": current.two_factor_required,
        "guard_share": f"{current.guard_share * 100:g}",
        "guard_minimum": current.guard_minimum,
    }
