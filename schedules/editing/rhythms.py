"""How often a schedule runs, as a form asks for it: every so many minutes, by a cron line, or by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

from django import forms
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from core.accounts import project
from core.lib.errors import InvalidInput
from core.ui.forms import ProductForm
from schedules import timing

EVERY, CRON, HAND = "every", "cron", "hand"
# what makes a field ask for the form anew when it changes: columns or fields depend on it
LOADS = {
    "hx-post": "",
    "hx-trigger": "change",
    "hx-target": "#editor",
    "hx-select": "#editor",
    "hx-swap": "outerHTML",
    "hx-vals": '{"load": "1"}',
}
SHOWN_TIMES = 3


class RhythmFields(ProductForm):
    """The part of both editors that says how often. The numbers are checked where they are stored."""

    rhythm = forms.ChoiceField(
        label=gettext_lazy("How often"),
        choices=[
            (EVERY, gettext_lazy("Every so many minutes")),
            (CRON, gettext_lazy("At set times")),
            (HAND, gettext_lazy("When someone starts it")),
        ],
        widget=forms.RadioSelect,
        initial=EVERY,
    )
    every_minutes = forms.IntegerField(
        label=gettext_lazy("Minutes between two runs"),
        required=False,
        initial=10,
        min_value=1,
        help_text=gettext_lazy("60 is hourly, 1440 daily."),
    )
    cron = forms.CharField(
        label=gettext_lazy("Cron line"),
        required=False,
        max_length=100,
        help_text=gettext_lazy(
            "Minute, hour, day of month, month, day of week: “30 6 * * 1-5” is half past six on weekdays."
        ),
        widget=forms.TextInput(
            attrs={
                "placeholder": "30 6 * * 1-5",
                "autocomplete": "off",
                "spellcheck": "false",
                "hx-get": reverse_lazy("schedules:times"),
                "hx-trigger": "input changed delay:400ms",
                "hx-target": "#times",
            }
        ),
    )

    def read_rhythm(self) -> dict[str, Any]:
        """The parts of `ScheduleData`; call it when the form is valid."""
        chosen = self.cleaned_data["rhythm"]
        return {
            "every_minutes": self.cleaned_data["every_minutes"] if chosen == EVERY else None,
            "cron": self.cleaned_data["cron"] if chosen == CRON else "",
        }

    def check_rhythm(self) -> None:
        """Say beside the field what the chosen rhythm lacks; what stands in that of another one does not matter."""
        chosen = self.cleaned_data.get("rhythm")
        if chosen != EVERY:
            self.errors.pop("every_minutes", None)
        if chosen == EVERY and not self.cleaned_data.get("every_minutes") and "every_minutes" not in self.errors:
            self.add_error("every_minutes", gettext("Give the number of minutes, or choose another way."))
        if chosen == CRON and not self.cleaned_data.get("cron"):
            self.add_error("cron", gettext("Write the cron line, or choose another way."))


@dataclass(frozen=True, slots=True)
class Coming:
    """The next times of a cron line in the zone that decides them, or what is wrong with it."""

    times: tuple[datetime, ...] = ()
    zone: ZoneInfo | None = None
    problem: str = ""


def initial_rhythm(*, every_minutes: int | None, cron: str) -> dict[str, Any]:
    """What the fields show for a schedule that exists."""
    rhythm = EVERY if every_minutes else CRON if cron else HAND
    return {"rhythm": rhythm, "every_minutes": every_minutes or 10, "cron": cron}


def next_times(cron: str) -> Coming:
    """The next three times of a cron line, in the project's time zone."""
    line, now = " ".join(cron.split()), timezone.now()
    if not line:
        return Coming()
    try:
        timing.check_rhythm(every_minutes=None, cron=line, now=now)
    except InvalidInput as error:
        return Coming(problem=error.message)
    times: list[datetime] = []
    zone = project.current().time_zone
    while len(times) < SHOWN_TIMES:
        at = timing.next_time(every_minutes=None, cron=line, zone=zone, now=times[-1] if times else now)
        if at is None:
            break
        times.append(at)
    return Coming(tuple(times), zone)


def set_choices(form: forms.Form, name: str, choices: Sequence[tuple[str, str]]) -> None:
    """Give a field of a form its choices, which are known only when the form is made."""
    cast("forms.ChoiceField", form.fields[name]).choices = list(choices)
