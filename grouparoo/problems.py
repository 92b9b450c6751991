"""Everything that will not mend itself and waits for a person. Home shows it; alerts tell people who are not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import models
from django.urls import reverse

from apps_connectors.models import App
from core.ui.counting import count
from core.ui.wording import relative
from profiles import queries as profile_queries
from profiles.models import ProfilePropertyRule
from schedules import pages as run_pages
from schedules.outbound import pages as outbound_pages
from schedules.outbound.pages import Halted
from schedules.pages import Standing


class ProblemKind(models.TextChoices):
    """What kind of thing is wrong."""

    SCHEDULE_HALTED = "schedule_halted", "A schedule stopped: credentials, a missing table, the guard"
    SUBSCRIPTION_HALTED = "subscription_halted", "Outbound events stopped"
    RUN_FAILED = "run_failed", "A run failed"
    SCHEDULE_LATE = "schedule_late", "A schedule did not run for twice its rhythm"
    APP_SILENT = "app_silent", "An App does not answer its test"
    PROPERTY_PAUSED = "property_paused", "A property is not asked for any more"


@dataclass(frozen=True, slots=True)
class Problem:
    """What happened, what follows, where to look. `kind` and `subject` (such as "schedule:3") tell it from others."""

    kind: ProblemKind
    subject: str
    title: str
    text: str
    url: str
    link: str
    icon: str = "triangle-alert"
    is_bad: bool = True


def read_problems() -> list[Problem]:
    """All problems there are now."""
    waiting = outbound_pages.read_halted(count({"waiting": outbound_pages.halted_question()})["waiting"])
    return find_problems(
        run_pages.standing(),
        paused=[rule for rule in profile_queries.rules_in_use() if rule.paused_reason],
        silent=list(App.objects.filter(test_ok=False, paused_at=None).order_by("name")),
        waiting=waiting,
    )


def find_problems(
    standing: Standing,
    *,
    paused: Sequence[ProfilePropertyRule],
    silent: Sequence[App],
    waiting: Sequence[Halted] = (),
) -> list[Problem]:
    """The problems in what was read, the gravest first."""
    problems = [
        Problem(
            ProblemKind.SCHEDULE_HALTED,
            f"schedule:{schedule.pk}",
            f"“{schedule}” stopped and needs a person",
            f"{schedule.halted_reason} {run_pages.explain_halt(schedule)}".strip(),
            reverse("schedules:show", args=[schedule.pk]),
            "Open the schedule",
            "circle-pause",
            is_bad=False,
        )
        for schedule in standing.halted
    ]
    problems += [
        Problem(
            ProblemKind.SUBSCRIPTION_HALTED,
            f"subscription:{subscription.pk}",
            f"“{subscription.name}” stopped and needs a person",
            f"{subscription.reason} The events that come meanwhile are kept.",
            reverse("subscriptions:show", args=[subscription.pk]),
            "Open the subscription",
            "circle-pause",
            is_bad=False,
        )
        for subscription in waiting
    ]
    problems += [
        Problem(
            ProblemKind.RUN_FAILED,
            f"schedule:{run.schedule_id}",
            f"The last run of “{run.schedule}” failed",
            run.error or "It gave no reason.",
            reverse("runs:show", args=[run.pk]),
            f"See run {run.pk}",
        )
        for run in standing.failed
    ]
    problems += [
        Problem(
            ProblemKind.SCHEDULE_LATE,
            f"schedule:{schedule.pk}",
            f"“{schedule}” does not run as it should",
            f"It should run {run_pages.rhythm(schedule)}; its last run was {relative(since)}. Look whether the workers"
            " have more to do than they can: /readyz says how long things wait.",
            reverse("schedules:show", args=[schedule.pk]),
            "Open the schedule",
        )
        for schedule, since in standing.late
    ]
    problems += [
        Problem(
            ProblemKind.APP_SILENT,
            f"app:{app.pk}",
            f"{app} does not answer",
            app.test_message or "The last test failed.",
            reverse("apps:show", args=[app.pk]),
            "Open the App",
        )
        for app in silent
    ]
    problems += [
        Problem(
            ProblemKind.PROPERTY_PAUSED,
            f"property:{rule.pk}",
            f"The property “{rule}” is paused",
            f"{rule.paused_reason} Its values stay as they are until it is asked again.",
            reverse("properties:show", args=[rule.pk]),
            "Open the property",
            "circle-pause",
            is_bad=False,
        )
        for rule in paused
    ]
    return problems
