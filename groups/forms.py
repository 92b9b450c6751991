"""The forms of groups. The builder's rows are `groups/builder.py`'s."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext, gettext_lazy

from core.ui.forms import ProductForm
from groups.groups_store import MAX_NAME
from profiles.finding import MOST_LINES


class NameForm(ProductForm):
    """What a group is called."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=MAX_NAME,
        help_text=gettext_lazy("What your team calls these people."),
        error_messages={"required": gettext_lazy("Give the group a name.")},
    )


class OneForm(ProductForm):
    """One person for a manual group."""

    person = forms.CharField(
        label=gettext_lazy("Person"),
        max_length=500,
        help_text=gettext_lazy("An email address, another value that identifies someone, or a guid."),
    )


class ListForm(ProductForm):
    """A list of people, pasted or as a file. Replacing is done when it was said what that would change."""

    lines = forms.CharField(
        label=gettext_lazy("People"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 10, "class": "is-code", "spellcheck": "false"}),
        help_text=format_lazy(
            gettext_lazy(
                "One a line: an email address, another value that identifies someone, or a guid. At most {most} lines."
            ),
            most=f"{MOST_LINES:,}",
        ),
    )
    file = forms.FileField(
        label=gettext_lazy("Or a CSV"),
        required=False,
        help_text=gettext_lazy("The column named like an identifying property is used, or else the first one."),
    )
    act = forms.ChoiceField(
        label=gettext_lazy("What to do with them"),
        choices=[
            ("add", gettext_lazy("Put them into the group")),
            ("remove", gettext_lazy("Take them out of it")),
            ("replace", gettext_lazy("Make them its members, and nobody else")),
        ],
        widget=forms.RadioSelect,
        initial="add",
    )
    agreed = forms.CharField(required=False, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        """One of the two ways in."""
        cleaned: dict[str, Any] = super().clean() or {}
        if not cleaned.get("lines", "").strip() and not cleaned.get("file"):
            self.add_error("lines", gettext("Write at least one line, or choose a file."))
        return cleaned


class ValuesForm(ProductForm):
    """Which values get a group of their own, and what the groups are called."""

    property = forms.CharField(widget=forms.HiddenInput)
    name = forms.CharField(
        label=gettext_lazy("Name of each group"),
        max_length=MAX_NAME,
        help_text=gettext_lazy("{value} stands for the value, in every name."),
    )
    values = forms.MultipleChoiceField(
        label=gettext_lazy("Values"),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": gettext_lazy("Choose at least one value.")},
    )

    def offer(self, choices: Sequence[tuple[str | None, str]]) -> None:
        """The values to choose from, with their label."""
        field = cast("forms.MultipleChoiceField", self.fields["values"])
        field.choices = [(value, label) for value, label in choices if value is not None]
