"""The editor of a subscription. Choosing an App comes first, as what may be followed depends on it.

“Show the JSON” sends the whole form and shows it again with the preview: nothing that was written is lost, with or
without a script, and nothing is saved. With a script the preview follows what is chosen. Conditions are edited by the
builder of groups: its draft, its buttons (`do`), its templates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_http_methods

from apps_connectors.models import App
from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.lib.errors import InvalidInput
from core.ui.forms import WRONG, actor_of, render_form, told
from core.ui.pages import wants_fragment
from events.pages import recent_keys, recent_types
from groups import queries as group_queries
from groups.builder import form as draft_form
from groups.builder import shape
from groups.builder.draft import Draft
from groups.reading import MATCHES, PAYLOAD_TYPES
from profiles import ruleset
from profiles.models import RuleState
from profiles.queries import rules_in_use
from profiles.ruleset import Rule
from schedules.outbound import pages, queries, subscriptions, trying
from schedules.outbound.bodies import SubscriptionData
from schedules.outbound.forms import SubscriptionForm, shown_again
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
    do = request.POST.get("do") or ("preview" if "preview" in request.POST else "save")
    before = subscriptions.read_data(subscription) if subscription else None
    known = _Known(ruleset.load().by_key, group_queries.names_of_others(None))
    draft = _read_draft(request, before, known)
    form, shown = _form(request, app, before, known, is_checked=do in ("preview", "save")), None
    if request.method == "POST" and do == "preview":
        shown, draft = _preview(form, draft)
        if wants_fragment(request):
            return render(request, "subscriptions/_preview.html", {"shown": shown})
    elif request.method == "POST" and do == "save":
        answer, draft = _save(request, subscription, form, draft)
        if answer is not None:
            return answer
    else:
        draft = shape.change(draft, do)
    context = {
        "form": form,
        "app": app,
        "subscription": subscription,
        "types": recent_types(),
        "keys": recent_keys(),
        "shown": shown,
        "cancel": _back(subscription),
        **_choices(draft, known),
    }
    response = render_form(request, "subscriptions/edit.html", context)
    if do == "save" and draft.problem_count:
        response.status_code = WRONG
    if do != "save" and wants_fragment(request):
        response["HX-Trigger-After-Settle"] = "reshaped"  # the preview follows what was added or taken away
    return response


@dataclass(frozen=True, slots=True)
class _Known:
    """What conditions may ask about: properties by key, and the names of groups."""

    by_key: Mapping[str, Rule]
    groups: Mapping[int, str]


def _read_draft(request: HttpRequest, before: SubscriptionData | None, known: _Known) -> Draft:
    """The conditions as they were sent, or as they are saved."""
    if request.method == "POST":
        return draft_form.read_draft(request.POST, by_key=known.by_key, groups=known.groups)
    if before is None:
        return draft_form.empty_draft()
    return draft_form.draft_of(before.people, where=before.where, by_key=known.by_key, groups=known.groups)


def _choices(draft: Draft, known: _Known) -> dict[str, Any]:
    """What the templates of the groups' builder need."""
    return {
        "draft": draft,
        "counted": {},
        "subjects": draft_form.subjects(known.by_key.values(), with_events=False),
        "groups": [(str(pk), name) for pk, name in known.groups.items()],
        "payload_types": tuple(PAYLOAD_TYPES),
        "matches": MATCHES,
        "units": draft_form.units(),
    }


def _form(
    request: HttpRequest, app: App, before: SubscriptionData | None, known: _Known, *, is_checked: bool
) -> SubscriptionForm:
    is_sent = request.method == "POST"
    return SubscriptionForm(
        request.POST if is_sent and is_checked else None,
        app=app,
        groups=known.groups,
        rules=[rule for rule in rules_in_use() if rule.state == RuleState.READY],
        exports=pages.exports_of(app),
        before=before,
        initial=shown_again(request.POST) if is_sent else None,
    )


def _save(
    request: HttpRequest, subscription: Subscription | None, form: SubscriptionForm, draft: Draft
) -> tuple[HttpResponse | None, Draft]:
    """Where to go on; None when something is wrong, which the form and the draft say then."""
    if not form.is_valid():
        return None, draft
    actor, data = actor_of(request), form.read_data(draft)
    try:
        if subscription is None:
            made = subscriptions.create_subscription(data, actor=actor)
            message = gettext("“%(made)s” was made. It gets the events that are processed from now on.") % {
                "made": made
            }
            return told(request, message, to=reverse("subscriptions:show", args=[made.pk])), draft
        subscriptions.update_subscription(subscription.pk, data, actor=actor)
    except InvalidInput as error:
        own, of_draft = _divide(error)
        if own.fields or not of_draft:
            form.add_problem(own, names=form.names())
        return None, draft.with_problems(of_draft)
    message = gettext("“%(data)s” was saved. What waits already goes out as it is.") % {"data": data.name}
    return told(request, message, to=reverse("subscriptions:show", args=[subscription.pk])), draft


def _divide(error: InvalidInput) -> tuple[InvalidInput, dict[str, str]]:
    """What is wrong with the form, and what with the conditions, by their place in the draft."""
    own = {key: text for key, text in error.fields.items() if key.partition(".")[0] not in ("where", "people")}
    of_draft = {
        f"rules.{key}" if key.startswith("where") else f"rules{key.removeprefix('people')}": text
        for key, text in error.fields.items()
        if key not in own
    }
    return InvalidInput(error.message, own), of_draft


def _preview(form: SubscriptionForm, draft: Draft) -> tuple[ShownPreview, Draft]:
    """The JSON of what the form says now; what it lacks as sentences."""
    if not form.is_valid():
        return ShownPreview(errors=[str(error) for errors in form.errors.values() for error in errors]), draft
    try:
        return pages.show_preview(trying.preview(form.read_data(draft))), draft
    except InvalidInput as error:
        shown = ShownPreview(errors=list(error.fields.values()) or [error.message])
        return shown, draft.with_problems(_divide(error)[1])


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
