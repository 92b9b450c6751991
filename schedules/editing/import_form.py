"""The form of an import schedule: what to read, which columns feed which properties, how often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.forms import BoundField
from django.utils.translation import gettext, gettext_lazy

from apps_connectors.models import App
from core.lib.names import fold_name
from core.ui import wording
from core.ui.forms import dress, mark_needed
from profiles.models import ProfilePropertyRule
from schedules.editing.offers import Readable
from schedules.editing.rhythms import LOADS, RhythmFields, initial_rhythm, set_choices
from schedules.models import Direction
from schedules.schedules_store import ScheduleData

WAYS = {"table": gettext_lazy("A table"), "query": gettext_lazy("A query"), "path": gettext_lazy("A file")}
NOTHING = ("", gettext_lazy("Not taken"))
_EVERY = {"*": gettext_lazy("Every file of the folder, also those to come")}
_SHAPED = frozenset({"table", "query", "path", "id_column", "changed_column", "may_create", "look_for_deleted"})


@dataclass(frozen=True, slots=True)
class MappedColumn:
    """One row of the mapping: a column, its first values, and the field that chooses its property."""

    column: str
    type: str
    examples: str
    field: BoundField
    hidden: str  # the name under which the column's own name is sent along


class ImportForm(RhythmFields):
    """Everything a person decides of an import. The columns are those that were loaded, or that the form came with."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("Left empty: the App and the table."),
    )
    way = forms.ChoiceField(label=gettext_lazy("What to read"), widget=forms.RadioSelect, required=False)
    table = forms.ChoiceField(label=gettext_lazy("Table"), required=False, widget=forms.Select(attrs=LOADS))
    query = forms.CharField(
        label=gettext_lazy("Query"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false", "class": "is-code"}),
        help_text=gettext_lazy(
            "One SELECT. {{high_water_mark}} stands for the changed-at value of the last row taken."
        ),
    )
    path = forms.ChoiceField(
        label=gettext_lazy("File"),
        required=False,
        widget=forms.Select(attrs=LOADS),
        help_text=gettext_lazy(
            "A run reads what is new or changed since the last one. Put files there whole: write them elsewhere,"
            " then move them."
        ),
    )
    id_column = forms.ChoiceField(
        label=gettext_lazy("Id column"), required=False, help_text=gettext_lazy("It tells the rows apart.")
    )
    changed_column = forms.ChoiceField(
        label=gettext_lazy("Changed-at column"),
        required=False,
        help_text=gettext_lazy(
            "With it a run reads only what is new or changed since the last one; without, all rows each time."
        ),
    )
    may_create = forms.BooleanField(
        label=gettext_lazy("Make profiles for people who are new"),
        required=False,
        initial=True,
        help_text=gettext_lazy("Otherwise rows about people nobody knows yet are kept as events and change nothing."),
    )
    look_for_deleted = forms.BooleanField(
        label=gettext_lazy("Also look for deleted rows"),
        required=False,
        help_text=gettext_lazy(
            "After each run the people known by the id column are looked for in the table. Whoever has no row"
            " there any more is asked for again, so that what came from it becomes empty."
        ),
    )
    enabled = forms.BooleanField(label=gettext_lazy("Switched on"), required=False, initial=True)

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        app: App,
        source: Readable,
        rules: Sequence[ProfilePropertyRule],
        columns: Sequence[str],
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(data, initial=dict(initial or {}))
        self.app, self.source, self.columns = app, source, list(columns)
        for name in ("way", "table", "query", "path", "id_column", "every_minutes", "cron"):
            mark_needed(self.fields[name])
        ways = source.ways or ("table",)
        set_choices(self, "way", [(way, str(WAYS[way])) for way in ways])
        self.fields["way"].initial = ways[0]
        for way in ("table", "path"):
            titled = [(name, str(_EVERY.get(name) or source.titles.get(name, name))) for name in self._names(way)]
            set_choices(self, way, [("", gettext("Choose…")), *titled])
        named = [(column, column) for column in self.columns]
        set_choices(self, "id_column", [("", gettext("Choose…")), *named])
        set_choices(self, "changed_column", [("", gettext("None: read all rows each time")), *named])
        properties = [NOTHING, *((rule.key, _describe(rule)) for rule in rules)]
        for index, column in enumerate(self.columns):
            feeds = forms.ChoiceField(
                label=gettext("Property fed by %(column)s") % {"column": column}, choices=properties, required=False
            )
            dress(feeds)
            self.fields[f"feeds-{index}"] = feeds

    @property
    def mapping(self) -> list[MappedColumn]:
        """The rows of the mapping."""
        known = set(self.source.columns)
        return [
            MappedColumn(
                column=column,
                type=self.source.types.get(column, ""),
                examples=", ".join(wording.cell(value)[:40] for value in self.source.examples(column))
                if column in known
                else "",
                field=self[f"feeds-{index}"],
                hidden=f"column-{index}",
            )
            for index, column in enumerate(self.columns)
        ]

    def clean(self) -> dict[str, Any]:
        """What is wrong beside the field it is about."""
        cleaned = super().clean() or self.cleaned_data
        self.check_rhythm()
        way = cleaned.get("way") or ""
        if way in WAYS and not cleaned.get(way) and way not in self.errors:
            self.add_error(
                way,
                {
                    "table": gettext("Choose the table."),
                    "query": gettext("Write the query."),
                    "path": gettext("Choose the file."),
                }[way],
            )
        elif way != "path" and self.columns and not cleaned.get("id_column"):
            self.add_error("id_column", gettext("Choose the column that tells the rows apart."))
        return cleaned

    def read_data(self, options: Mapping[str, Any]) -> ScheduleData:
        """What was decided; `options` are those of before, of which the form asks only some."""
        given = self.cleaned_data
        way = given["way"]
        source = given[way]
        kept = {key: value for key, value in options.items() if key not in _SHAPED}
        fields = {column: given[f"feeds-{index}"] for index, column in enumerate(self.columns)}
        what = self.source.titles.get(source, source) if way != "query" else "query"
        return ScheduleData(
            direction=Direction.IMPORT.value,
            name=given["name"] or f"{self.app.name}: {what}",
            app_id=self.app.pk,
            options={
                **kept,
                way: source,
                "id_column": given["id_column"],
                "changed_column": given["changed_column"],
                "may_create": given["may_create"],
                **({"look_for_deleted": True} if given["look_for_deleted"] and way == "table" else {}),
            },
            fields={column: key for column, key in fields.items() if key},
            enabled=given["enabled"],
            **self.read_rhythm(),
        )

    def _names(self, way: str) -> list[str]:
        """The names to choose from, with the one that is chosen although the App does not name it just now."""
        names = list(self.source.names)
        chosen = (self.data.get(way) if self.is_bound else self.initial.get(way)) or ""
        return names if not chosen or chosen in names else [str(chosen), *names]


def read_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """What an unfinished form says of its source: enough to ask the App for columns."""
    way = given.get("way") or next((each for each in WAYS if given.get(each)), "")
    return {way: given.get(way)} if way and given.get(way) else {}


def read_columns(given: Mapping[str, Any]) -> list[str]:
    """The columns that a form was shown with."""
    columns: list[str] = []
    while (column := given.get(f"column-{len(columns)}")) is not None:
        columns.append(str(column))
    return columns


def initial_of(data: ScheduleData, columns: Sequence[str]) -> dict[str, Any]:
    """What the form shows of a schedule that exists."""
    options = data.options
    way = next((each for each in WAYS if options.get(each)), "")
    return {
        "name": data.name,
        "way": way,
        way: options.get(way),
        "id_column": options.get("id_column", ""),
        "changed_column": options.get("changed_column", ""),
        "may_create": options.get("may_create", True),
        "look_for_deleted": options.get("look_for_deleted", False),
        "enabled": data.enabled,
        **{f"feeds-{index}": data.fields.get(column, "") for index, column in enumerate(columns)},
        **initial_rhythm(every_minutes=data.every_minutes, cron=data.cron),
    }


def guess(source: Readable, *, table: str, rules: Sequence[ProfilePropertyRule]) -> dict[str, Any]:
    """A first mapping for columns that were just loaded: names alike, and “id” of users for user_id."""
    by_name: dict[str, str] = {}
    for rule in rules:
        by_name.setdefault(fold_name(rule.label), rule.key)
    by_name |= {fold_name(rule.key): rule.key for rule in rules}
    own_id = fold_name(table.rpartition(".")[2].removesuffix("s") + "id")
    guessed: dict[str, Any] = {"id_column": source.guess_id(), "changed_column": source.guess_changed()}
    taken: set[str] = set()
    for index, column in enumerate(source.columns):
        key = by_name.get(fold_name(column)) or (by_name.get(own_id, "") if fold_name(column) == "id" else "")
        if key and key not in taken:
            guessed[f"feeds-{index}"] = key
            taken.add(key)
    return guessed


def _describe(rule: ProfilePropertyRule) -> str:
    text = gettext("%(rule)s (%(type)s, identifies)") if rule.is_unique else "%(rule)s (%(type)s)"
    return text % {"rule": rule, "type": rule.get_type_display().lower()}
