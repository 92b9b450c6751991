"""The pages of replays: what would be sent with its count first, then its progress, and stopping it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.lib.errors import InvalidInput
from core.ui import notices
from core.ui.forms import ProductForm, Question, actor_of, confirmed, render_form, telling, told
from core.ui.pages import STOP_POLLING
from core.ui.wording import counted
from plugins import registry
from plugins.base import ForwardsEvents
from schedules.outbound import queries, replays
from schedules.outbound.log_filters import read_filters, read_time
from schedules.outbound.models import Subscription
from schedules.outbound.queries import Wanted
from schedules.outbound.replays import AGAIN, MISSED


class MissedForm(ProductForm):
    """From when on a subscription gets what it never got."""

    since = forms.CharField(
        label=gettext_lazy("Events that came from"),
        widget=forms.DateTimeInput({"type": "datetime-local"}),
        help_text=gettext_lazy("Those that the log has are left out. They go with the person as they are known now."),
    )

    def wanted(self) -> Wanted:
        """What was asked for. Raises InvalidInput."""
        since = read_time(self.cleaned_data["since"])
        if since is None:
            raise InvalidInput(gettext("Write a day and a time."), {"since": gettext("Write a day and a time.")})
        return Wanted(since=since)


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def send_again(request: HttpRequest, subscription_id: int) -> HttpResponse:
    """Ask, with the number; then send again what the log's filters pick."""
    subscription, filters = queries.find_subscription(subscription_id), read_filters(request.GET.dict())
    back = f"{_address(subscription)}?{filters.query}"
    try:
        count = replays.count(subscription_id, AGAIN, filters.wanted)
    except InvalidInput as error:
        messages.error(request, error.message)
        return redirect(back)

    def act() -> HttpResponse:
        replays.start(subscription_id, AGAIN, filters.wanted, actor=actor_of(request))
        return told(request, gettext("They are sent again, in the background."), to=_address(subscription))

    if count is None:
        said = gettext("More deliveries than can be counted in a moment go out again, as they were.")
    else:
        text = ngettext(
            "%(count)s delivery goes out again, as it was.", "%(count)s deliveries go out again, as they were.", count
        )
        said = counted(text, count)
    consequences = [said, _repetitions(subscription)]
    if subscription.paused_at:
        consequences.append(gettext("Sending is paused: they wait until it is resumed."))
    question = Question(
        gettext("Send these again?"), consequences, verb=gettext("Send again"), back=back, is_danger=False
    )
    return confirmed(request, question, act)


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def send_missed(request: HttpRequest, subscription_id: int) -> HttpResponse:
    """Choose from when on, see how many events that are, then send what the subscription never got of them."""
    subscription = queries.find_subscription(subscription_id)
    form = MissedForm(request.POST or None)
    context: dict[str, Any] = {"form": form, "subscription": subscription, "back": _address(subscription)}
    if request.method == "POST" and form.is_valid():
        with form.catching():
            wanted = form.wanted()
            if request.POST.get("do") == "send":
                replays.start(subscription_id, MISSED, wanted, actor=actor_of(request))
                return told(
                    request, gettext("What it never got is sent, in the background."), to=_address(subscription)
                )
            context["count"] = replays.count(subscription_id, MISSED, wanted)
            context["is_counted"] = True
    return render_form(request, "subscriptions/missed.html", context)


@require_POST
@role_required(Role.EDITOR)
def stop(request: HttpRequest, subscription_id: int) -> HttpResponse:
    """Owe nothing more; what is owed already goes out."""
    with telling(request):
        replays.stop(subscription_id, actor=actor_of(request))
        messages.success(request, gettext("No more is sent again. What was taken up already still goes out."))
    return redirect("subscriptions:show", subscription_id)


@require_GET
@role_required(Role.VIEWER)
def show_progress(request: HttpRequest, subscription_id: int) -> HttpResponse:
    """How far a replay has come; htmx asks no more once it has ended."""
    subscription = queries.find_subscription(subscription_id)
    found = replays.find_or_refuse(subscription_id)
    context = {"subscription": subscription, "replay": found}
    if not found.is_running:  # they watched it end
        notices.see(request.user.pk, replays.subject_of(subscription_id))
    return render(request, "subscriptions/_replay.html", context, status=200 if found.is_running else STOP_POLLING)


def _repetitions(subscription: Subscription) -> str:
    try:
        kind = registry.get(subscription.app.type)
    except registry.UnknownApp as error:
        return str(error)
    if issubclass(kind, ForwardsEvents) and kind.repeatable:
        return gettext("Each keeps its id, so a receiver that looks at ids takes it once.")
    return gettext("%(app)s cannot tell repetitions: what arrived before is there twice.") % {"app": subscription.app}


def _address(subscription: Subscription) -> str:
    return reverse("subscriptions:show", args=[subscription.pk])
