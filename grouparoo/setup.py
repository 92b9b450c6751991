"""From an empty installation to the first export: the steps, which of them are done, and what comes next on a page.

Home shows all of them; the page on which a step ends leads on to the next by itself (`core/ui/next_steps.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlencode

from django.db import connection
from django.urls import reverse
from django.utils.translation import gettext_lazy

from apps_connectors.models import App
from core.ui import next_steps
from core.ui.next_steps import NextStep
from groups.models import Group
from profiles.forms import can_be_asked
from profiles.models import ProfilePropertyRule, Retrieval
from schedules.editing import offers
from schedules.models import Direction, Run, RunState, Schedule

_DONE = """
select exists (select 1 from app),
       exists (select 1 from profile_property_rule where is_unique and state <> 'deleted'),
       exists (select 1 from profile where merged_into is null),
       exists (select 1 from profile_group),
       exists (select 1 from schedule where direction = 'export' and enabled)
"""
APP, PROPERTY, DATA, GROUP, EXPORT = range(5)


@dataclass(frozen=True, slots=True)
class SetupStep:
    """One step. It ticks itself."""

    label: str
    verb: str
    text: str
    is_done: bool
    is_next: bool
    url: str


def read_done() -> tuple[bool, ...]:
    """Which steps are done, in their order; one statement."""
    with connection.cursor() as cursor:
        cursor.execute(_DONE)
        return tuple(cursor.fetchone())


def list_steps(done: Sequence[bool]) -> list[SetupStep]:
    """All steps, the first that is not done with the shortest way there."""
    first = next((place for place, is_done in enumerate(done) if not is_done), len(done))
    return [
        SetupStep(
            str(label),
            str(verb),
            str(text),
            is_done,
            place == first,
            find_url(place) if place == first else reverse(page),
        )
        for place, ((label, verb, text, page), is_done) in enumerate(zip(_STEPS, done, strict=True))
    ]


_STEPS = (
    (
        gettext_lazy("Connect an App"),
        gettext_lazy("Connect an App"),
        gettext_lazy("A database, a file: where your customers are."),
        "apps:list",
    ),
    (
        gettext_lazy("Define a property that identifies a person"),
        gettext_lazy("Define a property"),
        gettext_lazy("Such as email or a user id; a table gives many at once."),
        "properties:list",
    ),
    (
        gettext_lazy("Bring in data"),
        gettext_lazy("Bring in data"),
        gettext_lazy("By a schedule, an upload, or events sent to the API."),
        "schedules:list",
    ),
    (
        gettext_lazy("Make a group"),
        gettext_lazy("Make a group"),
        gettext_lazy("Pick people by what you know about them."),
        "groups:list",
    ),
    (
        gettext_lazy("Send it somewhere"),
        gettext_lazy("Send a group"),
        gettext_lazy("You see what would leave before anything does."),
        "schedules:list",
    ),
)
# What the button on another page says, and why.
_NEXT = {
    PROPERTY: (
        gettext_lazy("choose what to know of a person"),
        gettext_lazy("Names and types are guessed from a table; you tick what you want."),
    ),
    DATA: (
        gettext_lazy("bring people in"),
        gettext_lazy("A schedule reads the table now, and from then on whatever changes."),
    ),
    GROUP: (
        gettext_lazy("make a group"),
        gettext_lazy("Pick people by what you know about them, counted while you write."),
    ),
    EXPORT: (
        gettext_lazy("send people somewhere"),
        gettext_lazy("Choose the tool, then look at what would leave before anything does."),
    ),
}


def find_url(step: int, *, app: App | None = None, group: Group | None = None) -> str:
    """Where a step is done, with what is known already filled in."""
    return _URLS[step](app, group)


def _url_of_app(app: App | None, group: Group | None) -> str:
    return reverse("apps:list")


def _url_of_property(app: App | None, group: Group | None) -> str:
    if app is None or not can_be_asked(app):
        app = next((each for each in App.objects.order_by("-pk") if can_be_asked(each)), None)
    return _with(reverse("properties:from_table"), app=app.pk) if app else reverse("properties:create")


def _url_of_data(app: App | None, group: Group | None) -> str:
    """The table that properties were made of, else any App that can be read, else a file."""
    asked = ProfilePropertyRule.objects.filter(retrieval=Retrieval.COLUMN).exclude(state="deleted").order_by("-pk")
    rule = (asked.filter(app=app).first() if app else None) or asked.select_related("app").first()
    if rule is not None and rule.app is not None and "table" in offers.ways_to_read(rule.app):
        create = reverse("schedules:create", args=[Direction.IMPORT, rule.app.pk])
        return _with(create, table=(rule.column or {}).get("table", ""))
    if app is not None and offers.ways_to_read(app):
        return reverse("schedules:create", args=[Direction.IMPORT, app.pk])
    return reverse("schedules:choose_app", args=[Direction.IMPORT])


def _url_of_group(app: App | None, group: Group | None) -> str:
    return reverse("groups:create")


def _url_of_export(app: App | None, group: Group | None) -> str:
    group = group or Group.objects.order_by("-pk").first()
    if app is not None and offers.can_export(app):
        page = reverse("schedules:create", args=[Direction.EXPORT, app.pk])
    else:
        page = reverse("schedules:choose_app", args=[Direction.EXPORT])
    return _with(page, group=group.pk) if group else page


def _with(page: str, **given: object) -> str:
    return f"{page}?{urlencode(given)}"


_URLS: dict[int, Callable[[App | None, Group | None], str]] = {
    APP: _url_of_app,
    PROPERTY: _url_of_property,
    DATA: _url_of_data,
    GROUP: _url_of_group,
    EXPORT: _url_of_export,
}


def _find_next(own: int, subject: object) -> NextStep | None:
    """The first step that is not done, where that of this page is: on the page of an App, of properties, of a group."""
    done = read_done()
    first = next((place for place, is_done in enumerate(done) if not is_done), None)
    if first in (None, own, APP):
        return None
    label, text = _NEXT[first]
    app = subject if isinstance(subject, App) else None
    group = subject if isinstance(subject, Group) else None
    return NextStep(str(label), str(text), find_url(first, app=app, group=group))


def _after_run(subject: object) -> NextStep | None:
    """Once people have come in."""
    if not isinstance(subject, Run) or subject.direction != Direction.IMPORT:
        return None
    return _find_next(DATA, subject) if subject.state == RunState.COMPLETE else None


def _after_schedule(subject: object) -> NextStep | None:
    is_import = isinstance(subject, Schedule) and subject.direction == Direction.IMPORT
    return _find_next(DATA, subject) if is_import else None


def connect() -> None:
    """Called once when a process starts."""
    next_steps.register("app", partial(_find_next, APP))
    next_steps.register("properties", partial(_find_next, PROPERTY))
    next_steps.register("schedule", _after_schedule)
    next_steps.register("run", _after_run)
    next_steps.register("group", partial(_find_next, GROUP))
