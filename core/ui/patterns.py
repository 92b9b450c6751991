"""`/-/patterns`: every component in every state, with what makes it. One file a section under `templates/patterns/`."""

from __future__ import annotations

from datetime import date, timedelta

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.ui.columns import OTHERS, Column, Columns
from core.ui.forms import ProductForm, Question

SECTIONS = (
    (gettext_lazy("Buttons"), "buttons"),
    (gettext_lazy("States and tags"), "states"),
    (gettext_lazy("Notices and messages"), "notices"),
    (gettext_lazy("Panels"), "panels"),
    (gettext_lazy("Tables"), "tables"),
    (gettext_lazy("The flow"), "flow"),
    (gettext_lazy("Bars and progress"), "bars"),
    (gettext_lazy("Charts"), "charts"),
    (gettext_lazy("Facts and sums"), "facts"),
    (gettext_lazy("Rules of a group"), "rules"),
    (gettext_lazy("Why"), "why"),
    (gettext_lazy("What happened"), "trail"),
    (gettext_lazy("Forms"), "forms"),
    (gettext_lazy("Apps"), "apps"),
    (gettext_lazy("Code"), "code"),
    (gettext_lazy("Navigation"), "navigation"),
)
_FIRST = date(2019, 1, 8)
_TYPES = ("purchase", "cart changed", "signed up", "opened", "refund", "review")
_PAYLOAD = {"user_id": 3, "cart_items": ["red shirt"], "profile": {"email": "alice@example.com", "vip": True}}


class ExampleForm(ProductForm):
    """A field of every kind."""

    name = forms.CharField(label="Name", help_text="What your team calls these people.")
    often = forms.IntegerField(label="Every so many minutes", required=False, min_value=1)
    source = forms.ChoiceField(label="App", choices=[("1", "Warehouse"), ("2", "Newsletter")])
    note = forms.CharField(label="Note", required=False, widget=forms.Textarea(attrs={"rows": 3}))
    query = forms.CharField(label="Query", required=False, widget=forms.Textarea(attrs={"rows": 3, "class": "is-code"}))
    is_on = forms.BooleanField(label="Switched on", required=False, help_text="Off: it starts nothing by itself.")
    mode = forms.ChoiceField(
        label="It may",
        widget=forms.RadioSelect,
        choices=[("sync", "Create, update and remove"), ("add", "Never remove")],
    )


@require_GET
@role_required(Role.VIEWER)
def show_patterns(request: HttpRequest) -> HttpResponse:
    """All of them on one page."""
    sections = [(title, name, f"patterns/{name}.html") for title, name in SECTIONS]
    context = {
        "sections": sections,
        "form": ExampleForm(auto_id="empty_%s"),
        "more_form": ExampleForm(auto_id="more_%s"),
        "wrong_form": ExampleForm({"name": "", "often": "0", "mode": "sync", "source": "1"}, auto_id="wrong_%s"),
        "question": Question(
            "", ["1,204 people leave it.", "2 exports take its tag away."], verb="Delete group", back="#forms"
        ),
        "blocked": Question("", [], verb="", back="#forms", against=["The schedule Newsletter uses it."]),
        "one_part": _columns(parts=1),
        "seven_parts": _columns(parts=OTHERS),
        "no_columns": Columns("No event came in the last 24 hours.", "Events by hour", "Hour", (), ()),
        "sizes": [(_FIRST - timedelta(days=back), 268 - back * back // 9 + back % 4) for back in range(29, -1, -1)],
        "falling": [9, 8, 8, 7, 4, 3],
        "payload": _PAYLOAD,
    }
    return render(request, "patterns/page.html", context)


def _columns(*, parts: int) -> Columns:
    names = [(name, look) for look, name in enumerate((*_TYPES, "other types"), 1)][:parts]
    columns = [
        Column(f"{hour:02}:00", f"{hour:02}:00", [(hour * 7 + look * 11) % 23 for _, look in names])
        for hour in range(24)
    ]
    label = "Purchases by hour" if parts == 1 else "Events by type and hour"
    usual = 12.0 if parts == 1 else None
    return Columns("As many as on other days; most came at noon.", label, "Hour", names, columns, usual=usual)
