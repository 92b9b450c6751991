"""Whether what a schedule names can be read or written: its options, columns, fields and groups. Reads only.

What only the App can tell (does the table exist, has it this column) is asked of the App itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, cast

from django.utils.translation import gettext, gettext_lazy

from apps_connectors.connections import connect
from apps_connectors.models import App
from core.lib.errors import InvalidInput
from groups.models import Group
from plugins import registry
from plugins.base import ExportsProfiles, ImportsRecords, RetrievesProperties
from plugins.contracts import Field, Page, PluginError, RecordSource, SyncMode
from profiles.models import ProfilePropertyRule
from schedules.conversions import find_problem, name_types
from schedules.models import Direction, Mode
from schedules.payloads import FIELD_TYPES
from schedules.rows import find_columns

_SOURCES = ("table", "query", "path")
_UPLOADED = "uploaded"  # tells the plugin that the path is one of ours; never taken from a person
_OWN_OPTIONS = frozenset(
    {*_SOURCES, "changed_column", "id_column", "may_create", "look_for_deleted", "lookback", "event_type", _UPLOADED}
)
_LONGEST_LOOKBACK = 366 * 24 * 3600
_FIELD_LENGTH = 200
_NEW_KEY = gettext_lazy("The key field has to be one that the destination has already: choose another.")


def check_content(
    *,
    direction: str,
    app_id: int,
    options: Mapping[str, Any],
    fields: Mapping[str, str],
    rules: Mapping[str, ProfilePropertyRule],
    groups: Mapping[int, str],
    everyone: bool,
    mode: str,
    has_rhythm: bool,
) -> dict[str, Any]:
    """Check all of it and return the options as they are stored; raises `InvalidInput`. `rules` are those in use."""
    app = App.objects.filter(pk=app_id).first()
    if app is None:
        _refuse("app", gettext("There is no such App: choose one of the list."))
    _check_names(fields, rules)
    if direction == Direction.IMPORT:
        return _check_import(app, options, fields, rules, has_rhythm=has_rhythm)
    _check_groups(groups, everyone=everyone)
    return _check_export(app, options, fields, rules, mode=mode)


def source_of(options: Mapping[str, Any], *, upload: str = "") -> RecordSource:
    """What an import with these options reads; `upload` is the path of the file that was brought for one run."""
    rest = {key: value for key, value in options.items() if key not in _OWN_OPTIONS}
    if upload:
        return RecordSource(path=upload, options={**rest, _UPLOADED: True})
    return RecordSource(
        table=options.get("table", ""),
        query=options.get("query", ""),
        path=options.get("path", ""),
        changed_column=options.get("changed_column", ""),
        id_column=options.get("id_column", ""),
        options=rest,
    )


def has_source(options: Mapping[str, Any]) -> bool:
    """Whether the schedule itself says what to read; otherwise each run is given a file."""
    return any(options.get(name) for name in _SOURCES)


# ---------------------------------------------------------------- parts


def _check_names(fields: Mapping[str, str], rules: Mapping[str, ProfilePropertyRule]) -> None:
    for name, key in fields.items():
        if not name.strip() or len(name) > _FIELD_LENGTH:
            _refuse(
                "fields",
                gettext("Give each field a name of 1 to %(field_length)s characters.")
                % {"field_length": _FIELD_LENGTH},
            )
        if key not in rules:
            _refuse(
                "fields",
                gettext("There is no property “%(key)s” for the field “%(name)s”: make its rule first.")
                % {"key": key, "name": name},
            )


def _check_groups(groups: Mapping[int, str], *, everyone: bool) -> None:
    if not groups and not everyone:
        _refuse("groups", gettext("Choose the groups to send, or everyone."))
    missing = set(groups) - set(Group.objects.filter(pk__in=list(groups)).values_list("pk", flat=True))
    if missing:
        _refuse("groups", gettext("There is no group %(min)s: choose one of the list.") % {"min": min(missing)})
    if any(not name.strip() for name in groups.values()):
        _refuse("groups", gettext("Give each group the name it carries at the destination."))
    if len(set(groups.values())) < len(groups):
        _refuse("groups", gettext("Two groups carry the same name at the destination: give each its own."))


# ---------------------------------------------------------------- what an import needs


def _check_import(
    app: App,
    options: Mapping[str, Any],
    fields: Mapping[str, str],
    rules: Mapping[str, ProfilePropertyRule],
    *,
    has_rhythm: bool,
) -> dict[str, Any]:
    options = _clean_import_options(options)
    _check_fed_once(fields)
    if fields and not any(rules[key].is_unique for key in fields.values()):
        _refuse("fields", gettext("No column says who a row is about: let one of them feed a unique property."))
    kind = registry.get(app.type)
    if not issubclass(kind, ImportsRecords):
        _refuse("app", gettext("Nothing can be imported from “%(app)s”.") % {"app": app})
    if not has_source(options):
        _check_by_hand(kind, has_rhythm=has_rhythm)
        return options
    if not fields and not options.get("path"):
        _refuse("fields", gettext("Choose which columns feed which properties."))
    page = _read_one(app, options)
    try:
        find_columns(page.columns, fields)
    except PluginError as error:
        raise InvalidInput(error.reason, {"fields": error.reason}) from None
    return options


def _read_one(app: App, options: Mapping[str, Any]) -> Page:
    """One row, so that a missing table or column is told now and not by the first run."""
    try:
        with connect(app.pk) as connected:
            return cast("ImportsRecords", connected).read_page(source_of(options), after=None, limit=1)
    except PluginError as error:
        raise InvalidInput(error.reason, {"options": error.reason}) from None


def _clean_import_options(options: Mapping[str, Any]) -> dict[str, Any]:
    cleaned = {key: value for key, value in options.items() if value not in (None, "") and key != _UPLOADED}
    if sum(bool(cleaned.get(name)) for name in _SOURCES) > 1:
        _refuse("options", gettext("Choose one thing to read: a table, a query or a path."))
    for name in (*_SOURCES, "changed_column", "id_column", "event_type"):
        if not isinstance(cleaned.get(name, ""), str):
            _refuse("options", gettext("“%(name)s” has to be text.") % {"name": name})
    if (cleaned.get("table") or cleaned.get("query")) and not cleaned.get("id_column"):
        _refuse("options", gettext("Choose the id column: the one that tells the rows apart."))
    if not isinstance(cleaned.get("may_create", True), bool):
        _refuse("options", gettext("“may_create” is true or false."))
    if not isinstance(cleaned.get("look_for_deleted", False), bool):
        _refuse("options", gettext("“look_for_deleted” is true or false."))
    if cleaned.get("look_for_deleted") and not cleaned.get("table"):
        _refuse("options", gettext("Deleted rows can be looked for in a table alone."))
    lookback = cleaned.get("lookback", 0)
    if isinstance(lookback, bool) or not isinstance(lookback, int | float) or not 0 <= lookback <= _LONGEST_LOOKBACK:
        _refuse("options", gettext("The lookback is a number of seconds from 0 to a year."))
    return cleaned


def _check_fed_once(fields: Mapping[str, str]) -> None:
    keys: Sequence[str] = list(fields.values())
    for key in keys:
        if keys.count(key) > 1:
            _refuse("fields", gettext("Two columns would feed “%(key)s”: choose one of them.") % {"key": key})


def _check_by_hand(kind: type[Any], *, has_rhythm: bool) -> None:
    if issubclass(kind, RetrievesProperties):
        _refuse("options", gettext("Say what to read: a table or a query."))
    if has_rhythm:
        _refuse(
            "every_minutes", gettext("There is nothing to read by itself: give a path, or leave it to uploads by hand.")
        )


# ---------------------------------------------------------------- what an export needs


def _check_export(
    app: App,
    options: Mapping[str, Any],
    fields: Mapping[str, str],
    rules: Mapping[str, ProfilePropertyRule],
    *,
    mode: str,
) -> dict[str, Any]:
    if not fields:
        _refuse("fields", gettext("Choose which properties to send to which fields."))
    key_field = options.get("key_field")
    if not isinstance(key_field, str) or key_field not in fields:
        _refuse(
            "key_field", gettext("Choose the key field: the one of the fields by which the destination knows a person.")
        )
    key_rule = rules[fields[key_field]]
    if not key_rule.is_unique:
        _refuse(
            "key_field",
            gettext("The key has to be a unique property, and “%(key_rule)s” is not: choose another.")
            % {"key_rule": key_rule},
        )
    kind = _check_kind(app, options, mode=mode)
    options = {name: value for name, value in options.items() if name != FIELD_TYPES}
    try:
        with connect(app.pk) as connected:
            known = {field.key: field for field in cast("ExportsProfiles", connected).fields(options)}
    except PluginError as error:
        part = f"options.{error.option}" if error.option else "options"
        raise InvalidInput(error.reason, {part: error.reason}) from None
    _check_known(known, fields, kind, options)
    if known and (problem := known[key_field].key_problem if key_field in known else _NEW_KEY):
        _refuse("key_field", str(problem))
    sent = {name: rules[key] for name, key in fields.items()}
    if problem := next(filter(None, (find_problem(sent[name], known[name]) for name in sent if name in known)), ""):
        _refuse("fields", problem)
    types = name_types(sent, known)
    return {**options, FIELD_TYPES: types} if types else options


def _check_kind(app: App, options: Mapping[str, Any], *, mode: str) -> type[ExportsProfiles]:
    """The App's type, once it can be written to in this mode and is told what it needs to know."""
    if mode not in Mode.values:
        _refuse("mode", gettext("Choose one of: %(values)s.") % {"values": ", ".join(Mode.values)})
    kind = registry.get(app.type)
    if not issubclass(kind, ExportsProfiles):
        _refuse("app", gettext("Nothing can be exported to “%(app)s”.") % {"app": app})
    if SyncMode(mode) not in kind.sync_modes:
        _refuse(
            "mode",
            gettext("“%(app)s” cannot do this: choose one of %(sync_modes)s.")
            % {"app": app, "sync_modes": ", ".join(sorted(kind.sync_modes))},
        )
    for option in kind.target_options:
        if option.required and not options.get(option.key):
            _refuse(
                "options",
                gettext("“%(option)s” (%(key)s) is needed.") % {"option": option.label, "key": option.key},
            )
    return kind


def _check_known(
    known: Mapping[str, Field], fields: Mapping[str, str], kind: type[ExportsProfiles], options: Mapping[str, Any]
) -> None:
    can_add = next((option for option in kind.target_options if option.key == kind.new_fields_option), None)
    for name in fields:
        if known and name not in known and not (can_add and options.get(can_add.key)):
            text = gettext("The destination has no field “%(name)s”: it has %(known)s.")
            if can_add:
                text = gettext(
                    "The destination has no field “%(name)s”: it has %(known)s. Choose one of them, or “%(option)s”."
                )
            option = can_add.label if can_add else ""
            _refuse("fields", text % {"name": name, "known": ", ".join(known), "option": option})
    for name, found in known.items():
        if found.required and name not in fields:
            _refuse(
                "fields",
                gettext("The destination needs the field “%(name)s”: choose a property for it.") % {"name": name},
            )


def _refuse(part: str, reason: str) -> NoReturn:
    raise InvalidInput(reason, {part: reason})
