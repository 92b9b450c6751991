"""Home: does anything need a person, what flowed in the last 24 hours, what runs now, which groups moved most."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_GET, require_POST

from apps_connectors import pages as app_pages
from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.ui.counting import Question, count
from core.ui.forms import actor_of, telling
from core.ui.pages import STOP_POLLING, answer, wants_fragment
from core.ui.wording import in_words, zone_name
from events.queries import arrived_since
from grouparoo import setup
from grouparoo.demo import in_browser
from grouparoo.flow import make_steps
from grouparoo.problems import Problem, find_problems
from groups import pages as group_pages
from groups.models import Group
from profiles import queries as profile_queries
from schedules import pages as run_pages
from schedules.outbound import pages as outbound_pages

_DAY = timedelta(days=1)


@require_POST
@role_required(Role.EDITOR)
def load_demo_shop(request: HttpRequest) -> HttpResponse:
    """Set the demo shop up; what follows is seen on Home."""
    with telling(request):
        in_browser.load(actor=actor_of(request))
        messages.success(
            request, gettext("The demo shop is connected. Its customers come in now; look at what runs below.")
        )
    return redirect("home")


@require_GET
@role_required(Role.VIEWER)
def show_home(request: HttpRequest) -> HttpResponse:
    """The page; for htmx the list of what runs now, until nothing does."""
    if wants_fragment(request):
        running = run_pages.unfinished()
        return answer(request, "home.html", "runs/_running.html", {"running": running}, status=_poll_status(running))
    now = timezone.now()
    since = now - _DAY
    groups = list(Group.objects.order_by("name"))
    counts = count(
        {
            "events": arrived_since(since),
            "changes": Question("profile_change where at >= %s", [since], {"people": "count(distinct profile_id)"}),
            "new": Question("profile where merged_into is null and created_at >= %s", [since]),
            "everyone": Question("profile where merged_into is null"),
            "outbound": outbound_pages.sent_since(since),
            "waiting": outbound_pages.halted_question(),
            "moves": group_pages.moves_since(since, [group.pk for group in groups]),
            **group_pages.size_questions(groups),
        }
    )
    sized = group_pages.with_sizes(groups, counted=counts)
    rules = profile_queries.rules_in_use()
    apps = app_pages.list_apps()
    standing = run_pages.standing()
    failed, halted = standing.failed, standing.halted
    recent = run_pages.runs_since(since)
    silent = [each.app for each in apps if each.look == "bad"]
    paused = [rule for rule in rules if rule.paused_reason]
    waiting = outbound_pages.read_halted(counts["waiting"])
    problems = find_problems(standing, paused=paused, silent=silent, waiting=waiting)
    has_unique = any(rule.is_unique for rule in rules)
    done = [bool(apps), has_unique, counts["everyone"].all > 0, bool(groups), standing.has_export]
    steps = make_steps(
        recent,
        counts,
        sized,
        halted=len(halted) + len(waiting),
        failed=failed,
        silent=len(silent),
        paused=len(paused),
        apps=len(apps),
    )
    context = {
        "now": now,
        "zone": zone_name(),
        "title": title_of(problems, is_empty=not (apps or counts["everyone"].all)),
        "is_empty": not (apps or counts["everyone"].all),
        "problems": problems,
        "steps": steps,
        "running": standing.running,
        "coming": standing.coming,
        "moved": group_pages.moved_most([each for each in sized if each.size.all or each.moved]),
        "group_count": len(groups),
        "setup": None if all(done) else setup.list_steps(done),
        "may_load_demo": not apps and not rules,
    }
    return answer(request, "home.html", "home.html", context)


def title_of(problems: Sequence[Problem], *, is_empty: bool) -> str:
    """The answer to the first question anyone has."""
    if not problems:
        return gettext("Nothing flows yet") if is_empty else gettext("All is flowing")
    return ngettext("%(count)s thing needs you", "%(count)s things need you", len(problems)) % {
        "count": in_words(len(problems))
    }


def _poll_status(running: Sequence[object]) -> int:
    return 200 if running else STOP_POLLING
