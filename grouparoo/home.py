"""Home: does anything need a person, what flowed in the last 24 hours, what runs now, which groups moved most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from apps_connectors import pages as app_pages
from apps_connectors.models import App
from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.ui.counting import Count, Question, count
from core.ui.pages import STOP_POLLING, answer, wants_fragment
from core.ui.wording import in_words, number, plural, zone_name
from events.queries import arrived_since
from groups import pages as group_pages
from groups.models import Group
from groups.pages import Sized
from profiles import queries as profile_queries
from profiles.models import ProfilePropertyRule
from schedules import pages as run_pages
from schedules.models import Run, Schedule

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that waits for a person: what happened, what follows, where to look."""

    title: str
    text: str
    url: str
    link: str
    icon: str = "triangle-alert"
    is_bad: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """One station of the flow with its figures of the last 24 hours."""

    label: str
    icon: str
    url: str
    figure: str
    unit: str
    detail: tuple[tuple[str, str], ...]
    look: str
    word: str


@dataclass(frozen=True, slots=True)
class SetupStep:
    """One step from nothing to a group. It ticks itself."""

    label: str
    text: str
    is_done: bool


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
    problems = find_problems(failed=failed, halted=halted, paused=paused, silent=silent)
    has_unique = any(rule.is_unique for rule in rules)
    setup = setup_steps(apps=len(apps), has_unique=has_unique, people=counts["everyone"].all, groups=len(groups))
    steps = flow(recent, counts, sized, halted=halted, failed=failed, silent=silent, paused=paused, apps=len(apps))
    context = {
        "now": now,
        "zone": zone_name(),
        "title": title_of(problems),
        "problems": problems,
        "steps": steps,
        "running": standing.running,
        "coming": standing.coming,
        "moved": group_pages.moved_most([each for each in sized if each.size.all or each.moved]),
        "group_count": len(groups),
        "setup": None if all(step.is_done for step in setup) else setup,
    }
    return answer(request, "home.html", "home.html", context)


def title_of(problems: Sequence[Problem]) -> str:
    """The answer to the first question anyone has."""
    if not problems:
        return "All is flowing"
    return f"{in_words(len(problems))} {'thing needs' if len(problems) == 1 else 'things need'} you"


def find_problems(
    *,
    failed: Sequence[Run],
    halted: Sequence[Schedule],
    paused: Sequence[ProfilePropertyRule],
    silent: Sequence[App],
) -> list[Problem]:
    """Everything that will not mend itself, the gravest first."""
    problems = [
        Problem(
            f"“{schedule}” stopped and needs a person",
            f"{schedule.halted_reason} {run_pages.explain_halt(schedule)}".strip(),
            f"{reverse('runs:list')}?schedule={schedule.pk}",
            "See its runs",
            "circle-pause",
            is_bad=False,
        )
        for schedule in halted
    ]
    problems += [
        Problem(
            f"The last run of “{run.schedule}” failed",
            run.error or "It gave no reason.",
            reverse("runs:show", args=[run.pk]),
            f"See run {run.pk}",
        )
        for run in failed
    ]
    problems += [
        Problem(f"{app} does not answer", app.test_message or "The last test failed.", reverse("apps:list"), "See Apps")
        for app in silent
    ]
    problems += [
        Problem(
            f"The property “{rule}” is paused",
            f"{rule.paused_reason} Its values stay as they are until it is asked again.",
            reverse("properties:list"),
            "See properties",
            "circle-pause",
            is_bad=False,
        )
        for rule in paused
    ]
    return problems


def flow(
    recent: Sequence[Mapping[str, Any]],
    counts: Mapping[str, Count],
    sized: Sequence[Sized],
    *,
    halted: Sequence[Schedule],
    failed: Sequence[Run],
    silent: Sequence[App],
    paused: Sequence[ProfilePropertyRule],
    apps: int,
) -> list[Step]:
    """Sources, Events, Profiles, Groups, Destinations: what passed each in the last 24 hours, and how it is."""
    sources = [row for row in recent if row["direction"] == "import"]
    targets = [row for row in recent if row["direction"] == "export"]
    stuck_in = [each for each in failed if each.direction == "import"]
    stuck_out = [each for each in failed if each.direction == "export"]
    return [
        _sources(sources, len(stuck_in), len(silent), apps),
        _events(counts["events"]),
        _profiles(counts, len(paused)),
        _groups(counts["moves"], sized),
        _destinations(targets, len(stuck_out), len(halted)),
    ]


def setup_steps(*, apps: int, has_unique: bool, people: int, groups: int) -> list[SetupStep]:
    """From nothing to the first group."""
    return [
        SetupStep("Connect an App", "A database, a file: where your customers are.", apps > 0),
        SetupStep("Define a property that identifies a person", "Such as email or a user id.", has_unique),
        SetupStep("Bring in data", "By a schedule, an upload, or events sent to the API.", people > 0),
        SetupStep("Make a group", "Pick people by what you know about them.", groups > 0),
    ]


def _poll_status(running: Sequence[object]) -> int:
    return 200 if running else STOP_POLLING


def _told(counted: Count) -> str:
    return number(counted.all) if counted.exact else f"about {number(counted.all)}"


def _sources(rows: Sequence[Mapping[str, Any]], failed: int, silent: int, apps: int) -> Step:
    read, runs = sum(row["read"] for row in rows), sum(row["runs"] for row in rows)
    if failed or silent:
        look, word = "bad", f"{plural(failed, 'run')} failed" if failed else f"{plural(silent, 'App')} silent"
    else:
        look, word = ("ok", "All healthy") if apps else ("off", "None connected")
    detail = tuple((row["schedule__app__name"], number(row["read"])) for row in _largest(rows, "read"))
    unit = f"{'row' if read == 1 else 'rows'} read in {plural(runs, 'run')}"
    return Step("Sources", "database", reverse("apps:list"), number(read), unit, detail, look, word)


def _events(events: Count) -> Step:
    detail: tuple[tuple[str, str], ...] = ()
    look, word = "ok", "Taken as they come"
    if events.exact:
        from_runs, unlinked = events.parts["from_runs"], events.parts["unlinked"]
        detail = (("From runs", number(from_runs)), ("Sent to the API", number(events.all - from_runs)))
        if unlinked:
            look, word = "warn", f"{number(unlinked)} found no person"
        elif events.all:
            word = "All found their person"
        else:
            look, word = "off", "None came"
    unit = "event came in" if events.all == 1 else "events came in"
    return Step("Events", "zap", reverse("events:list"), _told(events), unit, detail, look, word)


def _profiles(counts: Mapping[str, Count], paused: int) -> Step:
    changes = counts["changes"]
    people = changes.parts.get("people", changes.all)
    unit = ("person changed" if people == 1 else "people changed") if changes.exact else "changes to people"
    detail = (("New people", _told(counts["new"])), ("All people", _told(counts["everyone"])))
    look, word = ("warn", f"{plural(paused, 'property', 'properties')} paused") if paused else ("ok", "All filled in")
    figure = number(people) if changes.exact else _told(changes)
    if not counts["everyone"].all:
        look, word = "off", "Nobody yet"
    return Step("Profiles", "user", reverse("profiles:list"), figure, unit, detail, look, word)


def _groups(moves: Count, sized: Sequence[Sized]) -> Step:
    behind = sum(1 for each in sized if each.is_behind)
    detail: tuple[tuple[str, str], ...] = ()
    if moves.exact:
        detail = (("Joined", number(moves.parts["joined"])), ("Left", number(moves.parts["left"])))
    if behind:
        look, word = "info", f"{number(behind)} being calculated"
    else:
        look, word = ("ok", "All up to date") if sized else ("off", "None yet")
    unit = f"{'move' if moves.all == 1 else 'moves'} in {plural(len(sized), 'group')}"
    return Step("Groups", "blend", reverse("groups:list"), _told(moves), unit, detail, look, word)


def _destinations(rows: Sequence[Mapping[str, Any]], failed: int, halted: int) -> Step:
    sent, rejected = sum(row["sent"] for row in rows), sum(row["rejected"] for row in rows)
    detail = tuple((row["schedule__app__name"], number(row["sent"])) for row in _largest(rows, "sent"))
    if failed:
        look, word = "bad", f"{plural(failed, 'run')} failed"
    elif halted:
        look, word = "wait", f"{plural(halted, 'schedule')} {'waits' if halted == 1 else 'wait'} for you"
    elif rejected:
        look, word = "warn", f"{number(rejected)} rejected"
    else:
        look, word = ("ok", "All accepted") if rows else ("off", "Nothing to send")
    unit = "person sent" if sent == 1 else "people sent"
    return Step("Destinations", "send", reverse("schedules:list"), number(sent), unit, detail, look, word)


def _largest(rows: Sequence[Mapping[str, Any]], key: str) -> list[Mapping[str, Any]]:
    return sorted(rows, key=lambda row: -row[key])[:2]
