"""What an App offers to whoever makes a schedule: its tables and files, their columns, first rows, its fields.

Everything is asked of the App itself, in the request; what it cannot answer becomes a sentence beside the form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from django.utils.translation import gettext

from apps_connectors.connections import connect
from apps_connectors.models import App
from core.lib.names import fold_name
from plugins import registry
from plugins.base import App as Plugin
from plugins.base import ExportsProfiles, GivesSamples, ImportsRecords, RetrievesProperties
from plugins.contracts import Field, Option, PluginError
from schedules.models import Direction

SHOWN_ROWS = 5
_CHANGED_NAMES = ("updatedat", "changedat", "modifiedat", "lastmodified", "lastchanged", "updatedon", "modified")
_MADE_NAMES = ("createdat", "insertedat", "createdon", "created")


@dataclass(frozen=True, slots=True)
class Readable:
    """What an import may read: the ways (table, query, path), the names to choose from, and of the one that was chosen
    its columns and first rows. `problem` is why something could not be asked."""

    ways: Sequence[str] = ()
    names: Sequence[str] = ()
    columns: Sequence[str] = ()
    types: Mapping[str, str] = field(default_factory=dict)  # value types, as near as the App knows
    rows: Sequence[Sequence[Any]] = ()
    primary_key: Sequence[str] = ()
    problem: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)  # what people choose the names by

    def examples(self, column: str) -> list[Any]:
        """The first values of a column."""
        place = list(self.columns).index(column)
        return [row[place] for row in self.rows[:3] if row[place] not in (None, "")]

    def guess_id(self) -> str:
        """The column that most likely tells the rows apart."""
        if len(self.primary_key) == 1:
            return self.primary_key[0]
        return next((name for name in self.columns if fold_name(name) == "id"), "")

    def guess_changed(self) -> str:
        """The column that most likely says when a row was changed."""
        folded = {fold_name(name): name for name in reversed(self.columns)}
        return next((folded[name] for name in (*_CHANGED_NAMES, *_MADE_NAMES) if name in folded), "")


@dataclass(frozen=True, slots=True)
class Writable:
    """Where an export may write: what the plugin asks for, its sync modes, names of tables, the fields it knows."""

    options: Sequence[Option] = ()
    modes: frozenset[str] = frozenset()
    names: Sequence[str] = ()
    fields: Sequence[Field] = ()
    choices: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)  # by option, loaded from the tool
    takes_new: bool = False  # besides its fields others may be named, which are made
    problem: str = ""


def plugin_of(app: App) -> type[Plugin] | None:
    """The App's type; None when its plugin is not installed."""
    try:
        return registry.get(app.type)
    except registry.UnknownApp:
        return None


def ways_to_read(app: App) -> tuple[str, ...]:
    """How an import may read this App by itself: a table, a query, a path; nothing when it cannot."""
    kind = plugin_of(app)
    if kind is None or not issubclass(kind, ImportsRecords):
        return ()
    if not issubclass(kind, RetrievesProperties):
        return ("path",) if app.options.get("folder") or app.options.get("url") else ()
    takes_queries = issubclass(kind, GivesSamples) and kind.takes_queries
    return ("table", "query") if takes_queries else ("table",)


def find_apps(direction: str) -> list[App]:
    """The Apps that a schedule of this direction can be made for, by name."""
    apps = App.objects.order_by("name")
    if direction == Direction.IMPORT:
        return [app for app in apps if ways_to_read(app)]
    return [app for app in apps if can_export(app)]


def can_export(app: App) -> bool:
    """Whether people can be sent to this App."""
    return issubclass(plugin_of(app) or Plugin, ExportsProfiles)


def read_source(app: App, options: Mapping[str, Any]) -> Readable:
    """What can be read of an App, and of the table, query or path in `options` its columns and first rows."""
    ways, names, titles = ways_to_read(app), list[str](), dict[str, str]()
    try:
        with connect(app.pk) as connected:
            tables = list(cast("GivesSamples", connected).tables()) if isinstance(connected, GivesSamples) else []
            titles = {table.name: table.title for table in tables}
            names = list(titles)
            if query := options.get("query"):
                sample = cast("GivesSamples", connected).sample_query(query, limit=SHOWN_ROWS)
                return Readable(ways, names, sample.columns, {}, sample.rows, titles=titles)
            name = options.get("table") or options.get("path")
            if not name:
                return Readable(ways, names, titles=titles)
            sample = cast("GivesSamples", connected).sample(name, limit=SHOWN_ROWS)
    except PluginError as error:
        return Readable(ways, names, problem=error.reason, titles=titles)
    table = next((table for table in tables if table.name == name), None)
    return Readable(
        ways=ways,
        names=names,
        columns=sample.columns,
        types={column.name: column.type for column in (table.columns if table else ())},
        rows=sample.rows,
        primary_key=table.primary_key if table else (),
        titles=titles,
    )


def read_target(app: App, options: Mapping[str, Any]) -> Writable:
    """What an export to an App is asked for, and the fields it knows at the target in `options`."""
    kind = plugin_of(app)
    if kind is None or not issubclass(kind, ExportsProfiles):
        return Writable(problem=gettext("Nothing can be exported to this App."))
    wanted, modes = kind.target_options, frozenset(mode.value for mode in kind.sync_modes)
    names: list[str] = []
    choices: dict[str, Sequence[tuple[str, str]]] = {}
    try:
        with connect(app.pk) as connected:
            if isinstance(connected, GivesSamples) and any(option.key == "table" for option in wanted):
                names = [table.name for table in connected.tables()]
            for option in wanted:
                if option.kind == "loaded_choice":
                    choices[option.key] = connected.choices(option.key)
            fields: Sequence[Field] = ()
            if all(options.get(option.key) for option in wanted if option.required):
                fields = cast("ExportsProfiles", connected).fields(options)
            takes_new = bool(fields and kind.new_fields_option and options.get(kind.new_fields_option))
            return Writable(wanted, modes, names, fields, choices, takes_new)
    except PluginError as error:
        return Writable(wanted, modes, names, choices=choices, problem=error.reason)
