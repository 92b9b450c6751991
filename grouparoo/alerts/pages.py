"""The page of alerts: who is told, a test, and what they were told of lately. For admins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from core.accounts import mail
from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.ui.forms import ProductForm, actor_of, render_form, told
from core.work.models import UNFINISHED, Work, WorkState
from grouparoo.alerts import recipients, sending
from grouparoo.alerts.models import Incident
from grouparoo.alerts.recipients import EMAIL, Recipients
from grouparoo.alerts.watching import KIND, OPENED, RECOVERED, subject_of

_SHOWN = 20
_STATES = {
    WorkState.COMPLETE: ("ok", gettext_lazy("told")),
    WorkState.FAILED: ("bad", gettext_lazy("could not be told")),
    WorkState.STOPPED: ("off", gettext_lazy("was not told")),
}


class AlertsForm(ProductForm):
    """Who is told."""

    emails = forms.CharField(
        label=gettext_lazy("Email addresses"),
        required=False,
        widget=forms.Textarea({"rows": 4, "spellcheck": "false"}),
        help_text=gettext_lazy("One on each line. Left empty, nobody is told by email."),
    )
    webhook_url = forms.CharField(
        label=gettext_lazy("Webhook"),
        required=False,
        max_length=2000,
        widget=forms.TextInput({"placeholder": "https://example.com/hooks/alerts", "autocomplete": "off"}),
        help_text=gettext_lazy("An address that is called for each alert, such as one of your chat or on-call tool's."),
    )
    secret = forms.CharField(
        label=gettext_lazy("Signing secret of the webhook"),
        required=False,
        widget=forms.PasswordInput(render_value=False),
        help_text=gettext_lazy("It begins with whsec_; make one with: echo whsec_$(openssl rand -base64 32)"),
    )

    def __init__(self, data: Any, *, current: Recipients) -> None:
        initial = {"emails": "\n".join(current.emails), "webhook_url": current.webhook_url}
        super().__init__(data, initial=initial)
        if current.secret:
            self.fields["secret"].help_text = gettext("One is kept and never shown; leave this empty to keep it.")

    def changes(self) -> dict[str, Any]:
        """What was given, as `recipients.change` takes it."""
        return {**self.cleaned_data, "emails": self.cleaned_data["emails"].splitlines()}


@dataclass(frozen=True, slots=True)
class Told:
    """How one recipient was told of one phase of an incident."""

    who: str
    look: str
    word: str
    error: str


@require_http_methods(["GET", "POST"])
@role_required(Role.ADMIN)
def edit_alerts(request: HttpRequest) -> HttpResponse:
    """See and change who is told; below, what they were told of."""
    form = AlertsForm(request.POST or None, current=recipients.read())
    if request.method == "POST" and form.is_valid():
        with form.catching():
            recipients.change(form.changes(), base_url=request.build_absolute_uri("/"), actor=actor_of(request))
            return told(request, gettext("Who is told of problems is saved."), to=reverse("alerts:edit"))
    found = list(Incident.objects.order_by("-id")[:_SHOWN])
    context = {"form": form, "sends_email": mail.is_on(), "incidents": _with_told(found)}
    return render_form(request, "alerts/edit.html", context)


@require_POST
@role_required(Role.ADMIN)
def test_alerts(request: HttpRequest) -> HttpResponse:
    """Tell everyone of an incident that is none."""
    said = sending.send_test(recipients.read())
    for text, worked in said:
        (messages.success if worked else messages.error)(request, text)
    if not said:
        messages.error(request, gettext("There is nobody to tell yet: give an address, and save it first."))
    return redirect("alerts:edit")


def _with_told(incidents: Sequence[Incident]) -> list[tuple[Incident, list[Told]]]:
    """Each incident with how its recipients were told, in one statement."""
    named = {
        subject_of(each, phase, place): (each.pk, channel)
        for each in incidents
        for phase in (OPENED, RECOVERED)
        for place, channel in enumerate(each.channels)
    }
    told_of: dict[int, list[Told]] = {}
    for work in Work.objects.filter(kind=KIND, subject__in=list(named)).order_by("id"):
        incident_id, channel = named[work.subject]
        told_of.setdefault(incident_id, []).append(_show(work, channel))
    return [(each, told_of.get(each.pk, [])) for each in incidents]


def _show(work: Work, channel: dict[str, str]) -> Told:
    look, word = ("info", gettext("is being told")) if work.state in UNFINISHED else _STATES[WorkState(work.state)]
    return Told(
        channel.get(EMAIL) or gettext("The webhook"),
        look,
        str(word),
        work.error if work.state != WorkState.COMPLETE else "",
    )
