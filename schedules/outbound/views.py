"""The pages of subscriptions: the list, one of them with its log, its buttons; what other pages show of them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from core.accounts.models import Role
from core.accounts.permissions import has_role, role_required
from core.lib.errors import InvalidInput, NotFound, Refused
from core.ui.forms import CONFLICT, Question, actor_of, confirmed, telling, told
from core.ui.pages import PAGE_SIZE, STOP_POLLING, answer, read_guid, wants_fragment
from core.ui.remembering import remembers
from core.ui.sorting import arrange, part_of, read_sort
from core.ui.wording import counted, number
from events.pages import TooSlow
from schedules.outbound import pages, queries, subscriptions, trying
from schedules.outbound.editing import preview_of
from schedules.outbound.log_filters import read_filters
from schedules.outbound.models import Subscription, SubscriptionState
from schedules.outbound.pages import Filters


@require_GET
@role_required(Role.VIEWER)
@remembers("app", "state")
def list_subscriptions(request: HttpRequest) -> HttpResponse:
    """Every subscription: which events, to which App, how it is doing."""
    app, state = request.GET.get("app", ""), request.GET.get("state", "")
    filters = Filters(
        app=int(app) if app.isdecimal() and len(app) < 18 else None,
        state=state if state in pages.STATES else "",
    )
    sort = read_sort(request, pages.SORTS, usual="name")
    part = part_of(arrange(pages.show_all(filters), sort, pages.SORTS), request)
    context = {
        "rows": part.rows,
        "sort": sort,
        "part": part,
        "filters": filters,
        "apps": pages.find_apps(),
        "states": pages.STATES.items(),
    }
    return answer(request, "subscriptions/list.html", "subscriptions/list.html", context)


@require_GET
@role_required(Role.VIEWER)
def show_subscription(request: HttpRequest, subscription_id: int) -> HttpResponse:
    """What it sends, how it stands, its log. While something is under way the log asks for itself again."""
    subscription = queries.find_subscription(subscription_id)
    [shown] = pages.show([subscription])
    context: dict[str, Any] = {"shown": shown, "subscription": subscription, **_log(request, subscription)}
    context["listens"] = _listens(context, subscription)
    if wants_fragment(request):
        context["is_fragment"] = True
        status = 200 if context["listens"] or "before" in request.GET else STOP_POLLING
        return answer(request, "subscriptions/detail.html", "subscriptions/_log.html", context, status=status)
    context["groups"], context["keys"] = pages.sent_parts(shown)
    context["conditions"] = pages.say_conditions(subscription)
    context["replay"] = pages.recent_replay(subscription)
    return answer(request, "subscriptions/detail.html", "subscriptions/_log.html", context)


def _log(request: HttpRequest, subscription: Subscription) -> dict[str, Any]:
    filters, before = read_filters(request.GET.dict()), read_guid(request.GET.get("before"))
    try:
        found = pages.list_deliveries(
            filters.wanted, subscription_id=subscription.pk, before=before, limit=PAGE_SIZE + 1
        )
        is_slow = False
    except TooSlow:
        found, is_slow = [], True
    rows = pages.show_deliveries(found[:PAGE_SIZE])
    return {
        "rows": rows,
        "filters": filters,
        "states": [(value, word) for value, (_, word) in pages.LOOKS.items()],
        "is_slow": is_slow,
        "is_later_page": before is not None,
        "is_choosing": "choose" in request.GET and has_role(request.user, Role.EDITOR),
        "next_before": found[PAGE_SIZE - 1].event_id if len(found) > PAGE_SIZE else None,
        "again": [
            row.delivery.public_id for row in rows if row.delivery.state in pages.FAILED and row.can_be_sent_again
        ],
    }


def _listens(context: dict[str, Any], subscription: Subscription) -> bool:
    """Whether something may be seen to happen on the first page of the log."""
    if (
        context["is_later_page"]
        or context["is_slow"]
        or context["is_choosing"]
        or subscription.state != SubscriptionState.ON
    ):
        return False
    return not context["rows"] or not all(row.is_ended for row in context["rows"])


@require_GET
@role_required(Role.VIEWER)
def show_preview(request: HttpRequest, subscription_id: int) -> HttpResponse:
    """The exact JSON for the last event that concerns it."""
    subscription = queries.find_subscription(subscription_id)
    context = {"subscription": subscription, "shown": preview_of(subscription)}
    return answer(request, "subscriptions/preview.html", "subscriptions/_preview.html", context)


# ---------------------------------------------------------------- buttons


@require_POST
@role_required(Role.EDITOR)
def send_test_event(request: HttpRequest, subscription_id: int) -> HttpResponse:
    """Send the last event that concerns it, marked as a test, and show the answer."""
    subscription = queries.find_subscription(subscription_id)
    context: dict[str, Any] = {"subscription": subscription}
    try:
        context["test"] = pages.show_test(trying.send_test_event(subscription.pk, actor=actor_of(request)))
    except (InvalidInput, Refused) as error:
        context["problem"] = error.message
    status = CONFLICT if "problem" in context else 200
    return answer(request, "subscriptions/test.html", "subscriptions/_test.html", context, status=status)


@require_POST
@role_required(Role.EDITOR)
def pause(request: HttpRequest, subscription_id: int) -> HttpResponse:
    """Send nothing until it is resumed."""
    with telling(request):
        subscription = subscriptions.pause_subscription(subscription_id, actor=actor_of(request))
        messages.success(
            request,
            gettext("“%(subscription)s” is paused. It goes on noting what it owes.") % {"subscription": subscription},
        )
    return redirect("subscriptions:show", subscription_id)


@require_POST
@role_required(Role.EDITOR)
def resume(request: HttpRequest, subscription_id: int) -> HttpResponse:
    """Send again, with what waits."""
    with telling(request):
        subscription = subscriptions.resume_subscription(subscription_id, actor=actor_of(request))
        messages.success(request, gettext("“%(subscription)s” sends again.") % {"subscription": subscription})
    return redirect("subscriptions:show", subscription_id)


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def skip(request: HttpRequest, subscription_id: int) -> HttpResponse:
    """Ask, then resume without what waits."""
    subscription = queries.find_subscription(subscription_id)
    waiting = _say_waiting(subscription_id)
    back = reverse("subscriptions:show", args=[subscription_id])

    def act() -> HttpResponse:
        subscriptions.resume_subscription(subscription_id, send_missed=False, actor=actor_of(request))
        return told(
            request,
            gettext("“%(subscription)s” sends what comes from now on.") % {"subscription": subscription},
            to=back,
        )

    consequences = [
        gettext("%(waiting)s never sent to %(app)s.") % {"waiting": waiting, "app": subscription.app},
        gettext("What is processed from now on goes out again."),
    ]
    return confirmed(
        request,
        Question(
            gettext("Resume “%(subscription)s” without them?") % {"subscription": subscription},
            consequences,
            gettext("Skip and resume"),
            back,
        ),
        act,
    )


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def delete(request: HttpRequest, subscription_id: int) -> HttpResponse:
    """Ask, with what follows in numbers; then delete."""
    subscription = queries.find_subscription(subscription_id)
    [shown] = pages.show([subscription])
    consequences = [
        gettext("%(app)s gets no more of these events from us. What it has stays there.") % {"app": subscription.app}
    ]
    if shown.counts.waiting:
        consequences.append(gettext("%(waiting)s not sent any more.") % {"waiting": _say_waiting(subscription_id)})
    consequences.append(_say_log(shown.accepted))

    def act() -> HttpResponse:
        subscriptions.delete_subscription(subscription_id, actor=actor_of(request))
        return told(
            request,
            gettext("“%(subscription)s” was deleted.") % {"subscription": subscription},
            to=reverse("subscriptions:list"),
        )

    back = reverse("subscriptions:show", args=[subscription_id])
    return confirmed(
        request,
        Question(
            gettext("Delete “%(subscription)s”?") % {"subscription": subscription},
            consequences,
            gettext("Delete subscription"),
            back,
        ),
        act,
    )


def _say_log(accepted: int) -> str:
    if not accepted:
        return gettext("Its log goes with it.")
    text = ngettext(
        "Its log goes with it, also the %(count)s event that arrived in the last 24 hours.",
        "Its log goes with it, also the %(count)s events that arrived in the last 24 hours.",
        accepted,
    )
    return counted(text, accepted)


def _say_waiting(subscription_id: int) -> str:
    count = queries.count_waiting([subscription_id]).get(subscription_id, 0)
    if count >= queries.MOST_COUNTED:
        return gettext("%(count)s events and more that wait are") % {"count": number(count)}
    return counted(ngettext("%(count)s event that waits is", "%(count)s events that wait are", count), count)


# ---------------------------------------------------------------- on the page of an App


@require_GET
@role_required(Role.VIEWER)
def show_of_app(request: HttpRequest, app_id: int) -> HttpResponse:
    """The subscriptions of an App, for its page."""
    app = next((each for each in pages.find_apps() if each.pk == app_id), None)
    rows = pages.show_all(Filters(app=app_id))
    if app is None and not rows and wants_fragment(request):
        return render(request, "subscriptions/_takes_none.html")
    if app is None and not rows:
        raise NotFound(gettext("This App takes no events."))
    context = {"app": app or rows[0].subscription.app, "rows": rows}
    return answer(request, "subscriptions/of_app.html", "subscriptions/_of_app.html", context)
