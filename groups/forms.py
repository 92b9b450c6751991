"""The forms of groups. The builder's rows are `groups/builder.py`'s."""

from __future__ import annotations

from django import forms

from core.ui.forms import ProductForm
from groups.groups_store import MAX_NAME
from profiles.finding import MOST_LINES


class NameForm(ProductForm):
    """What a group is called."""

    name = forms.CharField(
        label="Name",
        max_length=MAX_NAME,
        help_text="What your team calls these people.",
        error_messages={"required": "Give the group a name."},
    )


class OneForm(ProductForm):
    """One person for a manual group."""

    person = forms.CharField(
        label="Person", max_length=500, help_text="An email address, another value that identifies someone, or a guid."
    )


class ListForm(ProductForm):
    """A pasted list of people."""

    lines = forms.CharField(
        label="People",
        widget=forms.Textarea(attrs={"rows": 10, "class": "is-code", "spellcheck": "false"}),
        help_text="One a line: an email address, another value that identifies someone, or a guid."
        f" At most {MOST_LINES:,} lines.",
        error_messages={"required": "Write at least one line."},
    )
    act = forms.ChoiceField(
        label="What to do with them",
        choices=[("add", "Put them into the group"), ("remove", "Take them out of it")],
        widget=forms.RadioSelect,
        initial="add",
    )
