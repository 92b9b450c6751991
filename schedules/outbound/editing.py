"""The editor of a subscription. Choosing an App comes first, as what may be followed depends on it.

“Show the JSON” sends the whole form and shows it again with the preview: nothing that was written is lost, with or
without a script, and nothing is saved. With a script the preview follows what is chosen.
"""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from apps_connectors.models import App
from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.lib.errors import InvalidInput
from core.ui.forms import actor_of, render_form, told
from core.ui.pages import wants_fragment
from events.pages import recent_keys, recent_types
from groups.models import Group
from profiles.models import RuleState
from profiles.queries import rules_in_use
from schedules.outbound import pages, queries, subscriptions, trying
from schedules.outbound.forms import SubscriptionForm
from schedules.outbound.models import Subscription
from schedules.outbound.pages import ShownPreview


@require_GET
@role_required(Role.EDITOR)
def choose_app(request: HttpRequest) -> HttpResponse:
    """The Apps that take events."""
    return render(request, "subscriptions/choose_app.html", {"apps": pages.find_apps()})


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def create(request: HttpRequest, app_id: int) -> HttpResponse:
    """A new subscription of an App."""
    app = get_object_or_404(App, pk=app_id)
    if not pages.takes_events(app):
        raise Http404
    return _edit(request, app, None)


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def edit(request: HttpRequest, subscription_id: int) -> HttpResponse:
    """Change a subscription."""
    subscription = queries.find_subscription(subscription_id)
    return _edit(request, subscription.app, subscription)


def _edit(request: HttpRequest, app: App, subscription: Subscription | None) -> HttpResponse:
    form = _form(request, app, subscription)
    shown = None
    if request.method == "POST" and "preview" in request.POST:
        shown = _preview(form)
        if wants_fragment(request):
            return render(request, "subscriptions/_preview.html", {"shown": shown})
    elif request.method == "POST" and form.is_valid():
        with form.catching(form.names()):
            return _save(request, subscription, form)
    context = {
        "form": form,
        "app": app,
        "subscription": subscription,
        "types": recent_types(),
        "keys": recent_keys(),
        "shown": shown,
        "cancel": _back(subscription),
    }
    return render_form(request, "subscriptions/edit.html", context)


def _form(request: HttpRequest, app: App, subscription: Subscription | None) -> SubscriptionForm:
    return SubscriptionForm(
        request.POST if request.method == "POST" else None,
        app=app,
        groups=list(Group.objects.order_by("name")),
        rules=[rule for rule in rules_in_use() if rule.state == RuleState.READY],
        exports=pages.exports_of(app),
        before=subscriptions.read_data(subscription) if subscription else None,
    )


def _save(request: HttpRequest, subscription: Subscription | None, form: SubscriptionForm) -> HttpResponse:
    actor, data = actor_of(request), form.read_data()
    if subscription is None:
        made = subscriptions.create_subscription(data, actor=actor)
        message = f"“{made}” was made. It gets the events that are processed from now on."
        return told(request, message, to=reverse("subscriptions:show", args=[made.pk]))
    subscriptions.update_subscription(subscription.pk, data, actor=actor)
    message = f"“{data.name}” was saved. What waits already goes out as it is."
    return told(request, message, to=reverse("subscriptions:show", args=[subscription.pk]))


def _preview(form: SubscriptionForm) -> ShownPreview:
    """The JSON of what the form says now; what it lacks as sentences."""
    if not form.is_valid():
        return ShownPreview(errors=[str(error) for errors in form.errors.values() for error in errors])
    try:
        return pages.show_preview(trying.preview(form.read_data()))
    except InvalidInput as error:
        return ShownPreview(errors=list(error.fields.values()) or [error.message])


def preview_of(subscription: Subscription) -> ShownPreview:
    """The JSON of a subscription that exists."""
    try:
        return pages.show_preview(trying.preview(subscriptions.read_data(subscription)))
    except InvalidInput as error:
        return ShownPreview(problem=error.message)


def _back(subscription: Subscription | None) -> str:
    if subscription is None:
        return reverse("subscriptions:list")
    return reverse("subscriptions:show", args=[subscription.pk])
