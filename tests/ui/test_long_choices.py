"""A choice among hundreds is written at once, as Django writes it."""

from __future__ import annotations

from django import forms

from core.ui.forms import LongSelect

CHOICES = [("", "The project’s"), ("Europe/Berlin", "Europe/Berlin"), ("<b>", "“Here” & <there>")]


def written(widget: type[forms.Select], value: object) -> str:
    html = widget({"class": "field"}, choices=CHOICES).render("zone", value, {"id": "id_zone", "required": True})
    return "".join(line.strip() for line in str(html).splitlines())


def test_it_is_the_control_that_django_writes() -> None:
    for value in ("Europe/Berlin", "<b>", "", None, "gone"):
        assert written(LongSelect, value) == written(forms.Select, value)
