"""The form that sends again what a destination has, or refused."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_lazy

from core.ui.forms import ProductForm
from schedules.again import Selection

REJECTED, TIME, EVERYTHING = "rejected", "time", "everything"


def _moment() -> forms.DateTimeInput:
    return forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")


class AgainForm(ProductForm):
    """Who is sent again. The domain checks it once more."""

    which = forms.ChoiceField(
        label=gettext_lazy("What to send again"),
        widget=forms.RadioSelect,
        choices=[
            (REJECTED, gettext_lazy("What was rejected")),
            (TIME, gettext_lazy("What was accepted in a time")),
            (EVERYTHING, gettext_lazy("Everything: compare everyone, and write everything anew")),
        ],
        initial=REJECTED,
    )
    since = forms.DateTimeField(label=gettext_lazy("From"), required=False, widget=_moment())
    until = forms.DateTimeField(label=gettext_lazy("Until"), required=False, widget=_moment())

    def clean(self) -> dict[str, Any]:
        """A time has a beginning."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("which") == TIME and not cleaned.get("since") and "since" not in self.errors:
            self.add_error("since", gettext("Say from when on."))
        return cleaned

    def read_selection(self) -> Selection:
        """What was chosen, of a valid form."""
        given = self.cleaned_data
        if given["which"] == TIME:
            return Selection(since=given["since"], until=given["until"])
        return Selection(rejected=given["which"] == REJECTED, everything=given["which"] == EVERYTHING)
