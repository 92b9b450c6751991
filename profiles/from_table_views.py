"""The page that makes many properties of one table: choose it, tick its columns, make them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_GET, require_http_methods

from apps_connectors.models import App
from apps_connectors.samples import list_tables
from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.lib.errors import InvalidInput, ProductError
from core.ui.forms import WRONG, actor_of, told
from core.ui.wording import counted
from profiles import from_table, queries, uniqueness
from profiles.forms import can_be_asked
from profiles.from_table import TableGuess
from profiles.models import ProfilePropertyRule, RuleState
from profiles.types import TYPES


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def make_rules(request: HttpRequest) -> HttpResponse:
    """Choose an App and a table by GET; POST makes what is ticked, and loses nothing when something is wrong."""
    apps = [app for app in App.objects.order_by("name") if can_be_asked(app)]
    asked = request.POST if request.method == "POST" else request.GET
    app = next((each for each in apps if str(each.pk) == asked.get("app")), None)
    table = asked.get("table", "")
    context: dict[str, Any] = {"apps": apps, "app": app, "table": table, "types": TYPES.values(), "errors": {}}
    try:
        if app is not None:
            context["tables"] = list_tables(app.pk)
        if app is None or not table:
            return render(request, "properties/from_table.html", context)
        guessed = from_table.guess(app, table)
        context |= {"guessed": guessed, "unique": [rule for rule in queries.rules_in_use() if rule.is_unique]}
    except ProductError as error:
        return render(request, "properties/from_table.html", {**context, "problem": error.message}, status=WRONG)
    rows = _rows(request, guessed)
    context |= {"rows": rows, "key_column": guessed.key_column, "key_property": guessed.key_property}
    if request.method == "POST":
        context |= {name: request.POST.get(name, "").strip() for name in ("key_column", "key_property")}
        chosen = [row for row in rows if row["use"]]
        try:
            made = from_table.make(
                app,
                table,
                key_column=context["key_column"],
                key_property=context["key_property"],
                chosen=chosen,
                actor=actor_of(request),
            )
        except InvalidInput as error:
            _place(error, chosen, context)
            return render(request, "properties/from_table.html", context, status=WRONG)
        count = len(made)
        message = counted(
            ngettext(
                "%(count)s property made. Everyone is being asked for them.",
                "%(count)s properties made. Everyone is being asked for them.",
                count,
            ),
            count,
        )
        return told(request, message, to=reverse("properties:list"))
    return render(request, "properties/from_table.html", context)


@require_GET
@role_required(Role.VIEWER)
def show_simulation(request: HttpRequest, rule_id: int) -> HttpResponse:
    """What would be if a property identified people."""
    found = ProfilePropertyRule.objects.exclude(state=RuleState.DELETED)
    rule = get_object_or_404(found, pk=rule_id)
    return render(request, "properties/simulation.html", {"rule": rule, "found": uniqueness.simulate(rule)})


def _rows(request: HttpRequest, guessed: TableGuess) -> list[dict[str, Any]]:
    """A row for each column: as guessed, or as it was filled in."""
    given: Mapping[str, str] | None = request.POST if request.method == "POST" else None
    rows = []
    for place, column in enumerate(guessed.columns):
        row = {
            "place": place,
            "guess": column,
            "column": column.column,
            "use": not column.known_as,
            **{name: getattr(column, name) for name in ("key", "label", "type", "is_unique")},
            "errors": [],
        }
        if given is not None:
            row |= {name: given.get(f"{name}_{place}", "").strip() for name in ("key", "label", "type")}
            row |= {name: f"{name}_{place}" in given for name in ("use", "is_unique")}
        rows.append(row)
    return rows


def _place(error: InvalidInput, chosen: list[dict[str, Any]], context: dict[str, Any]) -> None:
    """Each problem beside the row it is about; what is about none goes on top."""
    elsewhere = [] if error.fields else [error.message]
    for name, message in error.fields.items():
        number, _, _part = name.partition(".")
        if number.isdecimal() and int(number) < len(chosen):
            chosen[int(number)]["errors"].append(message)
        else:
            elsewhere.append(message)
    context["problem"] = " ".join(elsewhere) or gettext("Some columns need another look.")
