"""Pictures of every screen, taken with Chromium. Needs what the tests need: Playwright and Pillow."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urljoin

from django.urls import reverse

from apps_connectors.models import App
from events.models import Event
from groups.models import Group
from profiles.models import Profile, ProfilePropertyRule
from schedules.models import Direction, Run, Schedule
from schedules.outbound.models import Subscription

try:
    from PIL import Image
    from playwright.sync_api import Browser, Page, sync_playwright
except ImportError:
    CAN_BE_TAKEN = False
else:
    CAN_BE_TAKEN = True

MISSING = "Pictures need Playwright and Pillow: .venv/bin/pip install -r requirements-dev.txt"
NO_BROWSER = "Pictures need Chromium: sudo make system"
WIDE, NARROW, TALLEST = 1280, 375, 1700
MAIN = ("home", "profiles", "profile", "properties", "group", "group-edit", "events", "schedule-export", "run", "apps")
_COLOURS = 256  # of a picture's palette: a page has few


def find_browser() -> str | None:
    """The path of the system's Chromium."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def list_screens() -> dict[str, str]:
    """The address of every screen by the name of its picture; of a kind that has many, one with much to see."""
    rule = ProfilePropertyRule.objects.exclude(retrieval="event").order_by("-type").first()
    latest = list(Run.objects.order_by("-id")[:20])
    planned = _most([run for run in latest if "plan_held" in run.counters], "plan_held")
    run = _most([run for run in latest if run != planned], "sent")
    imported = _most([run for run in latest if run.direction == Direction.IMPORT], "created")
    return {
        **_lists(),
        **_of("profile", "profiles:show", _someone()),
        **_of("profile-changes", "profiles:changes", _someone()),
        **_of("profile-exports", "schedules:sent", _someone()),
        **_of("merge", "profiles:merge", _someone()),
        **_of("erase", "erasures:new", _someone()),
        **_of("property", "properties:show", rule),
        **_of("property-edit", "properties:edit", rule),
        **_of_group(Group.objects.order_by("name").first()),
        **_of("event", "events:show", Event.objects.filter(type="purchases").order_by("-id").first()),
        **_of_app(App.objects.filter(type="postgres").order_by("id").first()),
        **_of("schedule-import", "schedules:show", Schedule.objects.filter(direction=Direction.IMPORT).first()),
        **_of_export(Schedule.objects.filter(direction=Direction.EXPORT).order_by("-id").first()),
        **_of("run", "runs:show", run),
        **_of("run-import", "runs:show", imported),
        **_of("run-changes", "runs:changes", imported),
        **_of("plan", "runs:plan", planned),
        **_of("subscription", "subscriptions:show", Subscription.objects.first()),
        **_of("subscription-edit", "subscriptions:edit", Subscription.objects.first()),
    }


def take(base: str, screens: Mapping[str, str], *, folder: Path, sign_in: tuple[str, str], browser: str) -> int:
    """Write NAME-WIDTH-THEME.png of every screen; how many bytes they are together."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        size = _take_all(chromium, base, screens, folder, sign_in, width=WIDE, theme="light")
        main = {name: screens[name] for name in MAIN if name in screens}
        size += _take_all(chromium, base, main, folder, sign_in, width=NARROW, theme="dark")
        chromium.close()
    return size


def _take_all(
    chromium: Browser,
    base: str,
    screens: Mapping[str, str],
    folder: Path,
    sign_in: tuple[str, str],
    *,
    width: int,
    theme: str,
) -> int:
    context = chromium.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
    )
    page, size = context.new_page(), 0
    page.goto(urljoin(base, reverse("accounts:login")))
    if width == WIDE:
        size += _save(page, folder / f"sign-in-{width}-{theme}.png")
    page.get_by_label("Email").fill(sign_in[0])
    page.get_by_label("Password").fill(sign_in[1])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(base)
    for name, address in screens.items():
        page.goto(urljoin(base, address))
        page.wait_for_function("() => !document.querySelector('[hx-trigger^=load], .htmx-request, [aria-busy]')")
        size += _save(page, folder / f"{name}-{width}-{theme}.png")
    context.close()
    return size


def _save(page: Page, path: Path) -> int:
    """A picture of the page down to a certain height, in few colours."""
    height = int(page.evaluate("document.documentElement.scrollHeight"))
    width = page.viewport_size["width"] if page.viewport_size else WIDE
    shot = page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": width, "height": min(height, TALLEST)})
    picture = Image.open(io.BytesIO(shot)).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)
    return path.stat().st_size


def _lists() -> dict[str, str]:
    names = {
        "home": "home",
        "profiles": "profiles:list",
        "properties": "properties:list",
        "groups": "groups:list",
        "events": "events:list",
        "apps": "apps:list",
        "marketplace": "marketplace:list",
        "schedules": "schedules:list",
        "upload": "schedules:upload",
        "runs": "runs:list",
        "outbound-events": "subscriptions:list",
        "team": "team:list",
        "api-keys": "api_keys:list",
        "audit-log": "audit_log:list",
        "settings": "settings:list",
        "account": "account",
        "two-factor": "two_factor:show",
        "invite": "team:invite",
        "alerts": "alerts:edit",
        "erasures": "erasures:list",
        "notices": "notices:list",
        "group-new": "groups:create",
        "group-new-by-hand": "groups:create_manual",
        "patterns": "patterns",
    }
    month = {"events-30-days": f"{reverse('events:list')}?over=30-days"}
    found = {"search": f"{reverse('search')}?q=usa", "not-found": "/nowhere/"}
    return {name: reverse(view) for name, view in names.items()} | month | found


def _of(name: str, view: str, subject: object) -> dict[str, str]:
    """The address of one screen, if there is what it shows."""
    return {name: reverse(view, args=[subject.pk])} if subject is not None else {}  # type: ignore[attr-defined]


def _of_group(group: Group | None) -> dict[str, str]:
    if group is None:
        return {}
    views = {"group": "show", "group-edit": "edit", "group-breakdown": "breakdown", "group-log": "log"}
    everyone = "&".join(f"group={pk}" for pk in Group.objects.values_list("pk", flat=True)[:2])
    found = {name: reverse(f"groups:{view}", args=[group.pk]) for name, view in views.items()}
    found["group-breakdown"] += "?property=country"
    return found | {"group-overlap": f"{reverse('groups:overlap')}?{everyone}"}


def _of_app(app: App | None) -> dict[str, str]:
    if app is None:
        return {}
    return {
        "app": reverse("apps:show", args=[app.pk]),
        "app-sample": reverse("apps:sample", args=[app.pk]),
        "app-connect": reverse("apps:connect", args=["mysql"]),
        "properties-from-table": f"{reverse('properties:from_table')}?app={app.pk}&table=users",
    }


def _of_export(schedule: Schedule | None) -> dict[str, str]:
    if schedule is None:
        return {}
    views: Mapping[str, str] = {
        "schedule-export": "show",
        "schedule-edit": "edit",
        "ledger": "ledger",
        "again": "again",
    }
    return {name: reverse(f"schedules:{view}", args=[schedule.pk]) for name, view in views.items()}


def _most(runs: Sequence[Run], counter: str) -> Run | None:
    """The run that counted the most of something."""
    return max(runs, key=lambda run: run.counters.get(counter, 0), default=None)


def _someone() -> Profile | None:
    """Someone of whom much is known."""
    return Profile.objects.filter(merged_into__isnull=True).order_by("created_at", "guid").first()
