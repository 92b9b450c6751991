"""Everything that will not mend itself and waits for a person. Home shows it; alerts tell people who are not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy

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

    SCHEDULE_HALTED = "schedule_halted", gettext_lazy("A schedule stopped: credentials, a missing table, the guard")
    SUBSCRIPTION_HALTED = "subscription_halted", gettext_lazy("Outbound events stopped")
    RUN_FAILED = "run_failed", gettext_lazy("A run failed")
    SCHEDULE_LATE = "schedule_late", gettext_lazy("A schedule did not run for twice its rhythm")
    APP_SILENT = "app_silent", gettext_lazy("An App does not answer its test")
    PROPERTY_PAUSED = "property_paused", gettext_lazy("A property is not asked for any more")


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
            gettext("“%(schedule)s” stopped and needs a person") % {"schedule": schedule},
            f"{schedule.halted_reason} {run_pages.explain_halt(schedule)}".strip(),
            reverse("schedules:show", args=[schedule.pk]),
            gettext("Open the schedule"),
            "circle-pause",
            is_bad=False,
        )
        for schedule in standing.halted
    ]
    problems += [
        Problem(
            ProblemKind.SUBSCRIPTION_HALTED,
            f"subscription:{subscription.pk}",
            gettext("“%(subscription)s” stopped and needs a person") % {"subscription": subscription.name},
            gettext("%(reason)s The events that come meanwhile are kept.") % {"reason": subscription.reason},
            reverse("subscriptions:show", args=[subscription.pk]),
            gettext("Open the subscription"),
            "circle-pause",
            is_bad=False,
        )
        for subscription in waiting
    ]
    problems += [
        Problem(
            ProblemKind.RUN_FAILED,
            f"schedule:{run.schedule_id}",
            gettext("The last run of “%(schedule)s” failed") % {"schedule": run.schedule},
            run.error or gettext("It gave no reason."),
            reverse("runs:show", args=[run.pk]),
            gettext("See run %(run)s") % {"run": run.pk},
        )
        for run in standing.failed
    ]
    problems += [
        Problem(
            ProblemKind.SCHEDULE_LATE,
            f"schedule:{schedule.pk}",
            gettext("“%(schedule)s” does not run as it should") % {"schedule": schedule},
            gettext(
                "It should run %(rhythm)s; its last run was %(since)s. Look whether the workers have "
                "more to do than they can: /readyz says how long things wait."
            )
            % {"rhythm": run_pages.rhythm(schedule), "since": relative(since)},
            reverse("schedules:show", args=[schedule.pk]),
            gettext("Open the schedule"),
        )
        for schedule, since in standing.late
    ]
    problems += [
        Problem(
            ProblemKind.APP_SILENT,
            f"app:{app.pk}",
            gettext("%(app)s does not answer") % {"app": app},
            app.test_message or gettext("The last test failed."),
            reverse("apps:show", args=[app.pk]),
            gettext("Open the App"),
        )
        for app in silent
    ]
    problems += [
        Problem(
            ProblemKind.PROPERTY_PAUSED,
            f"property:{rule.pk}",
            gettext("The property “%(rule)s” is paused") % {"rule": rule},
            gettext("%(reason)s Its values stay as they are until it is asked again.") % {"reason": rule.paused_reason},
            reverse("properties:show", args=[rule.pk]),
            gettext("Open the property"),
            "circle-pause",
            is_bad=False,
        )
        for rule in paused
    ]
    return problems
