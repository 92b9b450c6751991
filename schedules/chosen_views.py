"""What is done to the schedules and runs that were chosen in their lists, each as its own page does it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.ui.bulk import act_on_each, chosen_numbers
from core.ui.forms import actor_of
from schedules import runs, schedules_store


@require_POST
@role_required(Role.EDITOR)
def act_on_schedules(request: HttpRequest) -> HttpResponse:
    """Run them now, or switch them on or off."""
    actor, do, chosen = actor_of(request), request.POST.get("do"), chosen_numbers(request)
    if do == "run":
        act_on_each(
            request,
            chosen,
            lambda pk: runs.start_run(pk, trigger=actor.cause, actor=actor),
            done=lambda count: ngettext("%(count)s run starts.", "%(count)s runs start.", count),
        )
    elif do in {"on", "off"}:
        act_on_each(
            request,
            chosen,
            lambda pk: schedules_store.set_enabled(pk, do == "on", actor=actor),
            done=_say_on if do == "on" else _say_off,
        )
    return redirect("schedules:list")


@require_POST
@role_required(Role.EDITOR)
def act_on_runs(request: HttpRequest) -> HttpResponse:
    """Stop those that go on, or retry those that failed."""
    actor, do, chosen = actor_of(request), request.POST.get("do"), chosen_numbers(request)
    if do == "stop":
        act_on_each(request, chosen, lambda pk: runs.stop_run(pk, actor=actor), done=_say_stopped)
    elif do == "retry":
        act_on_each(request, chosen, lambda pk: runs.retry_run(pk, actor=actor), done=_say_retried)
    return redirect("runs:list")


def _say_on(count: int) -> str:
    return ngettext("%(count)s schedule is switched on.", "%(count)s schedules are switched on.", count)


def _say_off(count: int) -> str:
    return ngettext("%(count)s schedule is switched off.", "%(count)s schedules are switched off.", count)


def _say_stopped(count: int) -> str:
    return ngettext(
        "%(count)s run stops after the page it works on.", "%(count)s runs stop after the page they work on.", count
    )


def _say_retried(count: int) -> str:
    return ngettext("%(count)s run goes on where it was.", "%(count)s runs go on where they were.", count)
