"""The form of a property rule: what a person fills in, and the draft that the domain is asked to judge.

The choices of tables and columns come from the App itself. The page is rendered again for every such step, so it works
without JavaScript: `values_of` keeps what was filled in, `draft_of` reads it, and only saving checks it as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext, gettext_lazy

from apps_connectors.models import App
from apps_connectors.samples import list_tables
from core.lib.errors import InvalidInput, NotFound, Refused
from core.ui.forms import ProductForm, mark_needed
from plugins import registry
from plugins.base import RetrievesProperties
from plugins.contracts import Table
from profiles.models import ProfilePropertyRule, Retrieval
from profiles.rule_checks import AGGREGATIONS, FILTERS, NewRule
from profiles.types import TYPES

MOST_FILTERS = 10
_FLAGS = ("is_unique", "is_array")
_NAMES = (
    *("label", "key", "type", "identity_rank", "retrieval", "app", "query", "table", "column", "key_column"),
    *("column_key", "aggregation", "sort_column", "event_app", "column_label", "try_on"),
)
AGGREGATION_WORDS = {
    "exact": gettext_lazy("the value itself"),
    "count": gettext_lazy("how many rows"),
    "sum": gettext_lazy("the sum"),
    "average": gettext_lazy("the average"),
    "min": gettext_lazy("the least"),
    "max": gettext_lazy("the greatest"),
    "most_recent": gettext_lazy("the most recent"),
    "least_recent": gettext_lazy("the least recent"),
}
FILTER_WORDS = {
    "eq": gettext_lazy("is"),
    "ne": gettext_lazy("is not"),
    "gt": gettext_lazy("is greater than"),
    "gte": gettext_lazy("is at least"),
    "lt": gettext_lazy("is less than"),
    "lte": gettext_lazy("is at most"),
    "contains": gettext_lazy("contains"),
    "not_contains": gettext_lazy("does not contain"),
    "exists": gettext_lazy("has a value"),
    "not_exists": gettext_lazy("has no value"),
    "in": gettext_lazy("is one of"),
}
_WITHOUT_VALUE = ("exists", "not_exists")
# What hangs on a choice comes anew, and nothing else, since someone may be writing in another field meanwhile; without
# JavaScript the button "Load the tables" does the same.
_RELOADS = {
    "hx-post": "",
    "hx-trigger": "change",
    "hx-vals": '{"do": "load"}',
    "hx-target": "#columns",
    "hx-select": "#columns",
    "hx-swap": "outerHTML",
    "hx-sync": "closest form:replace",
}
_NEEDED = ("app", "query", "table", "column", "key_column", "column_key", "aggregation", "sort_column")


@dataclass(frozen=True, slots=True)
class Tables:
    """What an App has to choose from; `problem` says why there is nothing."""

    tables: Sequence[Table] = ()
    problem: str = ""

    def columns(self, table: str) -> list[str]:
        """The columns of one table."""
        return next(([column.name for column in each.columns] for each in self.tables if each.name == table), [])


class RuleForm(ProductForm):
    """One property. `values` are what `values_of` kept; they are shown without being judged."""

    label = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=200,
        help_text=gettext_lazy("What your team calls it, such as Lifetime value."),
        error_messages={"required": gettext_lazy("Give the property a name.")},
    )
    key = forms.CharField(
        label=gettext_lazy("Key"),
        required=False,
        max_length=60,
        help_text=gettext_lazy(
            "What events, queries and exports call it. Small letters, digits and underscores; it never changes."
            " Leave it empty to have it made of the name."
        ),
    )
    type = forms.ChoiceField(label=gettext_lazy("Type"), choices=[(each.key, each.label) for each in TYPES.values()])
    is_array = forms.BooleanField(
        label=gettext_lazy("Several values"), required=False, help_text=gettext_lazy("A list, in the order it comes.")
    )
    is_unique = forms.BooleanField(
        label=gettext_lazy("Identifies a person"),
        required=False,
        help_text=gettext_lazy("No two people share a value. Events that carry one belong to its owner."),
    )
    identity_rank = forms.IntegerField(
        label=gettext_lazy("Rank among identities"),
        required=False,
        min_value=1,
        max_value=1000,
        help_text=gettext_lazy(
            "When the identities of one event belong to different people, the lowest rank decides."
            " Empty: after all others."
        ),
    )
    retrieval = forms.ChoiceField(
        label=gettext_lazy("How it gets its value"),
        choices=[
            (Retrieval.QUERY, gettext_lazy("Ask an App with a query")),
            (Retrieval.COLUMN, gettext_lazy("Take it from a column of an App, without SQL")),
            (Retrieval.EVENT, gettext_lazy("Wait for it in events and uploads")),
        ],
        widget=forms.RadioSelect,
    )
    app = forms.ChoiceField(label=gettext_lazy("App"), required=False)
    query = forms.CharField(
        label=gettext_lazy("Query"),
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 5, "class": "is-code", "spellcheck": "false"}),
        help_text=gettext_lazy(
            "One SELECT that reads one column. Write {{profile.KEY}} where a person's own value belongs;"
            " it is always bound, never pasted."
        ),
    )
    table = forms.CharField(label=gettext_lazy("Table"), required=False)
    column = forms.CharField(label=gettext_lazy("Column"), required=False)
    key_column = forms.CharField(label=gettext_lazy("Column that says whose row it is"), required=False)
    column_key = forms.ChoiceField(label=gettext_lazy("Property it matches"), required=False)
    aggregation = forms.ChoiceField(
        label=gettext_lazy("Of these rows take"),
        required=False,
        choices=[(key, AGGREGATION_WORDS[key]) for key in AGGREGATIONS],
    )
    sort_column = forms.CharField(
        label=gettext_lazy("Most or least recent by"),
        required=False,
        help_text=gettext_lazy("The column that says which row is the later one."),
    )
    event_app = forms.ChoiceField(
        label=gettext_lazy("App"),
        required=False,
        help_text=gettext_lazy("Only where the columns of a file set it: then events do not."),
    )
    column_label = forms.CharField(
        label=gettext_lazy("Column label"),
        required=False,
        max_length=200,
        help_text=gettext_lazy("Any column with this label sets it."),
    )

    def __init__(
        self, *args: Any, rule: ProfilePropertyRule | None, values: Mapping[str, Any], tables: Tables, **kwargs: Any
    ) -> None:
        super().__init__(*args, initial=values, **kwargs)
        self.rule = rule
        self.tables = tables
        apps = list(App.objects.order_by("name"))
        unique = ProfilePropertyRule.objects.filter(is_unique=True).exclude(state="deleted").order_by("identity_rank")
        self._choose(
            "app", [("", gettext("Choose an App")), *((app.pk, app.name) for app in apps if can_be_asked(app))]
        )
        others = [(app.pk, app.name) for app in apps if not can_be_asked(app)]
        self._choose("event_app", [("", gettext("Any event that carries it")), *others])
        self._choose("column_key", [("", gettext("Choose a property")), *((each.key, str(each)) for each in unique)])
        if rule is not None:
            del self.fields["key"]
        for name in _NEEDED:
            mark_needed(self.fields[name])
        for name in ("app", "retrieval"):
            self.fields[name].widget.attrs |= _RELOADS
        if tables.tables:
            titles = {table.name: table.title for table in tables.tables}
            self._pick("table", list(titles), str(values.get("table", "")), titles)
            self.fields["table"].widget.attrs |= _RELOADS
            for name in ("column", "key_column", "sort_column"):
                self._pick(name, tables.columns(str(values.get("table", ""))), str(values.get(name, "")))

    def _choose(self, name: str, choices: Sequence[tuple[Any, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101  for the type checker
        field.choices = choices

    def _pick(self, name: str, found: Sequence[str], current: str, titles: Mapping[str, str] | None = None) -> None:
        """A list instead of a line to write in. What is chosen already stays, also when the App has it no more."""
        listed = found if current in found or not current else [current, *found]
        titled = [(each, (titles or {}).get(each, each)) for each in listed]
        self.fields[name].widget = forms.Select(choices=[("", gettext("Choose")), *titled], attrs={"class": "field"})


def can_be_asked(app: App) -> bool:
    """Whether an App of this type can be asked for properties."""
    try:
        return issubclass(registry.get(app.type), RetrievesProperties)
    except registry.UnknownApp:
        return False


def load_tables(values: Mapping[str, Any]) -> Tables:
    """The tables of the chosen App, where they are wanted."""
    app_id = str(values.get("app") or "")
    if values.get("retrieval") != Retrieval.COLUMN or not app_id.isdecimal():
        return Tables()
    try:
        return Tables(list_tables(int(app_id)))
    except (Refused, NotFound) as error:
        return Tables(problem=error.message)


def values_of(given: QueryDict) -> dict[str, Any]:
    """What was filled in, as it was filled in; `filters` in rows."""
    rows = zip(*(given.getlist(f"filter_{part}") for part in ("column", "operator", "value")), strict=False)
    filters = [{"column": column, "operator": operator, "value": value} for column, operator, value in rows]
    return {
        **{name: given.get(name, "").strip() for name in _NAMES},
        **{name: name in given for name in _FLAGS},
        "filters": filters[:MOST_FILTERS],
    }


def values_of_rule(rule: ProfilePropertyRule) -> dict[str, Any]:
    """A rule as its form shows it."""
    column = rule.column or {}
    return {
        **{name: getattr(rule, name) for name in ("label", "key", "type", "identity_rank", "retrieval", "query")},
        **{name: getattr(rule, name) for name in (*_FLAGS, "column_label")},
        "app": rule.app_id if rule.retrieval != Retrieval.EVENT else "",
        "event_app": rule.app_id if rule.retrieval == Retrieval.EVENT else "",
        **{name: column.get(name, "") for name in ("table", "column", "key_column", "aggregation", "sort_column")},
        "column_key": rule.column_key.key if rule.column_key else "",
        "filters": [{**each, "value": _shown(each.get("value"))} for each in column.get("filters", [])],
    }


def draft_of(values: Mapping[str, Any], rule: ProfilePropertyRule | None) -> NewRule:
    """What the form says, for `rules.py` and `trying.py`. Raises InvalidInput for what only a form can leave out."""
    retrieval = values["retrieval"]
    parts: dict[str, Any] = {}
    if retrieval == Retrieval.QUERY:
        if not values["query"]:
            raise InvalidInput(gettext("Write the query."), {"query": gettext("Write the query.")})
        parts = {"app": _find_app(values["app"]), "query": values["query"]}
    elif retrieval == Retrieval.COLUMN:
        parts = {"app": _find_app(values["app"]), "column": _read_column(values), "column_key": values["column_key"]}
    elif values["event_app"]:
        parts = {"app": _find_app(values["event_app"]), "column_label": values["column_label"]}
    rank = str(values["identity_rank"] or "")
    return NewRule(
        key=rule.key if rule is not None else values["key"] or make_key(values["label"]),
        type=values["type"],
        label=values["label"],
        is_unique=values["is_unique"],
        is_array=values["is_array"],
        identity_rank=int(rank) if rank.isdecimal() else None,
        **parts,
    )


def make_key(label: str) -> str:
    """A key of a name: "Lifetime value" becomes lifetime_value."""
    words = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")
    return words.lstrip("0123456789_")[:60] or "new_property"


def _find_app(text: str) -> App | None:
    return App.objects.filter(pk=int(text)).first() if text.isdecimal() and len(text) < 18 else None


def _read_column(values: Mapping[str, Any]) -> dict[str, Any]:
    for name, label in (("table", gettext("Choose the table.")), ("column", gettext("Choose the column."))):
        if not values[name]:
            raise InvalidInput(label, {name: label})
    if not values["key_column"]:
        message = gettext("Choose the column that says whose row it is.")
        raise InvalidInput(message, {"key_column": message})
    if not values["column_key"]:
        message = gettext("Choose the property that this column matches.")
        raise InvalidInput(message, {"column_key": message})
    column = {name: values[name] for name in ("table", "column", "key_column")}
    column["aggregation"] = values["aggregation"] or "exact"
    if values["aggregation"] in ("most_recent", "least_recent"):
        if not values["sort_column"]:
            message = gettext("Choose the column that says which row is the later one.")
            raise InvalidInput(message, {"sort_column": message})
        column["sort_column"] = values["sort_column"]
    filters = [_read_filter(each) for each in values["filters"] if each["column"]]
    return {**column, "filters": filters} if filters else column


def _read_filter(row: Mapping[str, str]) -> dict[str, Any]:
    operator = row["operator"]
    if operator not in FILTERS:
        raise InvalidInput(
            gettext("%(operator)s is not a condition.") % {"operator": operator},
            {"column": gettext("%(operator)s is not a condition.") % {"operator": operator}},
        )
    if operator in _WITHOUT_VALUE:
        return {"column": row["column"], "operator": operator}
    if not row["value"].strip():
        message = gettext("Say what %(column)s is compared with, or take the condition away.") % {
            "column": row["column"]
        }
        raise InvalidInput(message, {"filters": message})
    value: Any = row["value"].strip()
    if operator == "in":
        value = [part.strip() for part in value.split(",") if part.strip()]
    return {"column": row["column"], "operator": operator, "value": value}


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
