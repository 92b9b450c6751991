"""The page of one delivery, sending again, and what the pages of events and profiles show of deliveries."""

from __future__ import annotations

import re
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_GET, require_POST

from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.lib.errors import InvalidInput
from core.ui.forms import actor_of, telling
from core.ui.pages import answer
from core.ui.wording import counted
from events.models import Event
from events.pages import TooSlow
from schedules.outbound import pages, queries, subscriptions
from schedules.outbound.queries import Wanted

_PUBLIC_ID = re.compile(r"^([0-9a-f-]{36})-([1-9][0-9]{0,17})$")
_SHOWN_OF_PROFILE = 10
_MOST_OF_EVENT = 50


@require_GET
@role_required(Role.VIEWER)
def show_delivery(request: HttpRequest, event_id: UUID, subscription_id: int) -> HttpResponse:
    """One event on its way to one subscription: the request, the answer, the attempts."""
    delivery = queries.find_delivery(event_id, subscription_id)
    [row] = pages.show_deliveries([delivery], with_subscriptions=True)
    context = {
        "row": row,
        "delivery": delivery,
        "subscription": row.subscription or queries.find_subscription(subscription_id),
        "has_event": Event.objects.filter(pk=event_id).exists(),
        "log": list(reversed(pages.read_log(delivery))),
    }
    return answer(request, "subscriptions/delivery.html", "subscriptions/delivery.html", context)


@require_POST
@role_required(Role.EDITOR)
def send_again(request: HttpRequest) -> HttpResponse:
    """Send the deliveries with these `ids` again; back to the page that asked."""
    with telling(request):
        ids = [_read_id(text) for text in request.POST.getlist("ids")]
        count = subscriptions.send_again(ids, actor=actor_of(request))
        if count:
            messages.success(
                request,
                counted(ngettext("%(count)s event goes out again.", "%(count)s events go out again.", count), count),
            )
        else:
            messages.error(
                request, gettext("Nothing was sent again: it is under way already, or its data are waited for.")
            )
    back = request.POST.get("back", "")
    is_here = url_has_allowed_host_and_scheme(back, allowed_hosts=None)
    return redirect(back if is_here else reverse("subscriptions:list"))


@require_GET
@role_required(Role.VIEWER)
def show_of_event(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """Where an event went, for its page."""
    found = pages.list_deliveries(event_id=event_id, limit=_MOST_OF_EVENT)
    context = {"event_id": event_id, "rows": pages.show_deliveries(found, with_subscriptions=True)}
    return answer(request, "subscriptions/of_event.html", "subscriptions/_of_event.html", context)


@require_GET
@role_required(Role.VIEWER)
def show_of_profile(request: HttpRequest, guid: UUID) -> HttpResponse:
    """The latest events of a profile that were sent somewhere, for its page."""
    try:
        found = pages.list_deliveries(Wanted(profiles=(guid,)), limit=_SHOWN_OF_PROFILE)
    except TooSlow:
        found = []
    context = {"guid": guid, "rows": pages.show_deliveries(found, with_subscriptions=True)}
    return answer(request, "subscriptions/of_profile.html", "subscriptions/_of_profile.html", context)


def _read_id(text: str) -> tuple[UUID, int]:
    found = _PUBLIC_ID.match(text)
    try:
        return UUID(found[1] if found else ""), int(found[2] if found else "")
    except ValueError:
        raise InvalidInput(gettext("That is no delivery: open it again and try once more.")) from None
