"""The form of an export schedule: where to, whom, which properties to which fields, how often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.forms import BoundField
from django.utils.translation import gettext, gettext_lazy

from apps_connectors.models import App
from core.ui.forms import dress, mark_needed
from groups.models import Group
from plugins.contracts import Option, OptionKind
from profiles.models import ProfilePropertyRule
from schedules.conversions import find_problem, label_of
from schedules.editing.offers import Writable
from schedules.editing.rhythms import LOADS, RhythmFields, initial_rhythm, set_choices
from schedules.models import Direction, Mode
from schedules.schedules_store import ScheduleData

EVERYONE, GROUPS = "everyone", "groups"
_MODES = {
    Mode.SYNC: gettext_lazy("Create, update and remove"),
    Mode.ADDITIVE: gettext_lazy("Create and update, never remove"),
    Mode.ENRICH: gettext_lazy("Only update who is there already"),
}


@dataclass(frozen=True, slots=True)
class SentGroup:
    """One row of the groups: whether it is sent, and the name it carries at the destination."""

    group: Group
    chosen: BoundField
    name: BoundField


@dataclass(frozen=True, slots=True)
class SentField:
    """One row of the mapping. Of a known field the property is chosen, of a property the field's name is written."""

    label: str
    note: str
    field: BoundField
    is_required: bool = False
    hidden: str = ""  # the name under which a known field's own name is sent along


class ExportForm(RhythmFields):
    """Everything a person decides of an export.

    Where the App knows its fields there is a row for each of them; where it does not, or may get new ones, one for each
    property, with the name of the field it goes to.
    """

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("Left empty: the App and the groups."),
    )
    whom = forms.ChoiceField(
        label=gettext_lazy("Who is sent"),
        choices=[(GROUPS, gettext_lazy("The members of some groups")), (EVERYONE, gettext_lazy("Everyone"))],
        widget=forms.RadioSelect,
        initial=GROUPS,
    )
    key_field = forms.ChoiceField(
        label=gettext_lazy("Known by"),
        required=False,
        help_text=gettext_lazy("The field by which the App knows a person. Its property has to be a unique one."),
    )
    mode = forms.ChoiceField(label=gettext_lazy("What it may do there"), widget=forms.RadioSelect, initial=Mode.SYNC)
    guard = forms.FloatField(
        label=gettext_lazy("Ask me before a run removes or changes more than … % of who is there"),
        required=False,
        min_value=0,
        max_value=100,
        help_text=gettext_lazy("Left empty: as the settings say. 100 never asks."),
    )
    after_changes = forms.BooleanField(
        label=gettext_lazy("Also right after a change"),
        required=False,
        initial=True,
        help_text=gettext_lazy("Within seconds, only who changed."),
    )
    enabled = forms.BooleanField(label=gettext_lazy("Switched on"), required=False, initial=True)

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        app: App,
        target: Writable,
        rules: Sequence[ProfilePropertyRule],
        groups: Sequence[Group],
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(data, initial=dict(initial or {}))
        self.app, self.target, self.rules, self.groups = app, target, rules, groups
        for name in ("key_field", "every_minutes", "cron"):
            mark_needed(self.fields[name])
        for option in target.options:
            self.fields[f"option-{option.key}"] = _option_field(option, target)
        set_choices(
            self, "mode", [(mode.value, str(label)) for mode, label in _MODES.items() if mode.value in target.modes]
        )
        for group in groups:
            self.fields[f"group-{group.pk}"] = forms.BooleanField(label=group.name, required=False)
            self.fields[f"group-name-{group.pk}"] = forms.CharField(
                label=gettext("Name of %(group)s there") % {"group": group.name},
                required=False,
                max_length=200,
                initial=group.name,
            )
        if self.knows_fields:
            self._add_known_fields()
        else:
            unique = [(rule.key, gettext("The field of %(rule)s") % {"rule": rule}) for rule in rules if rule.is_unique]
            set_choices(self, "key_field", [("", gettext("Choose…")), *unique])
        if self.takes_free_fields:
            self._add_free_fields()
        for each in self.fields.values():
            dress(each)

    @property
    def knows_fields(self) -> bool:
        """Whether the App said which fields it has."""
        return bool(self.target.fields)

    @property
    def problem(self) -> str:
        """What the App has to say of the target; nothing where it is told beside a field."""
        told = {message for messages in self.errors.values() for message in messages}
        return "" if self.target.problem in told else self.target.problem

    @property
    def takes_free_fields(self) -> bool:
        """Whether fields can be named that the App does not say it has."""
        return self.target.takes_new or not self.knows_fields

    @property
    def options(self) -> list[BoundField]:
        """What the plugin asks for."""
        return [self[f"option-{option.key}"] for option in self.target.options]

    @property
    def group_rows(self) -> list[SentGroup]:
        """Each group with its two fields."""
        return [SentGroup(each, self[f"group-{each.pk}"], self[f"group-name-{each.pk}"]) for each in self.groups]

    @property
    def mapping(self) -> list[SentField]:
        """The rows of the mapping: one for each field that the App knows."""
        return [
            SentField(
                label=field.key,
                note=label_of(field.type).lower(),
                field=self[f"from-{index}"],
                is_required=field.required,
                hidden=f"field-{index}",
            )
            for index, field in enumerate(self.target.fields)
        ]

    @property
    def free_mapping(self) -> list[SentField]:
        """One row for each property, where fields are named by whoever writes them down."""
        if not self.takes_free_fields:
            return []
        return [SentField(str(rule), _type_of(rule), self[f"to-{rule.key}"]) for rule in self.rules]

    def clean(self) -> dict[str, Any]:
        """What is wrong beside the field it is about."""
        cleaned = super().clean() or self.cleaned_data
        self.check_rhythm()
        if cleaned.get("whom") == GROUPS and not self._chosen_groups():
            self.add_error("whom", gettext("Choose at least one group, or everyone."))
        if not cleaned.get("key_field") and "key_field" not in self.errors:
            self.add_error("key_field", gettext("Choose the field by which the App knows a person."))
        self._check_known_fields()
        return cleaned

    def _check_known_fields(self) -> None:
        """Say beside each field what its property cannot be, and beside the key field why it cannot be the key."""
        given, rules = self.cleaned_data, {rule.key: rule for rule in self.rules}
        for index, field in enumerate(self.target.fields):
            rule = rules.get(given.get(f"from-{index}") or "")
            if rule is not None and (problem := find_problem(rule, field)):
                self.add_error(f"from-{index}", problem)
            if field.key == given.get("key_field") and field.key_problem:
                self.add_error("key_field", field.key_problem)

    def read_fields(self) -> dict[str, str]:
        """The property key for each field that is sent, of a valid or an unfinished form."""
        given = getattr(self, "cleaned_data", {})
        known = {field.key: given.get(f"from-{index}") for index, field in enumerate(self.target.fields)}
        named = {(given.get(f"to-{rule.key}") or "").strip(): rule.key for rule in self.rules}
        return {name: key for name, key in {**named, **known}.items() if name and key}

    def read_options(self) -> dict[str, Any]:
        """The target's options with the key field."""
        given = getattr(self, "cleaned_data", {})
        options = {option.key: given.get(f"option-{option.key}") for option in self.target.options}
        chosen = given.get("key_field") or ""
        key_field = chosen if self.knows_fields else (given.get(f"to-{chosen}") or "").strip()
        return {
            **{key: value for key, value in options.items() if value not in (None, "", False)},
            "key_field": key_field,
        }

    def read_data(self, options: Mapping[str, Any]) -> ScheduleData:
        """What was decided; `options` are those of before, of which the form asks only some."""
        given = self.cleaned_data
        asked = {"key_field", *(option.key for option in self.target.options)}
        kept = {key: value for key, value in options.items() if key not in asked}
        groups = self._chosen_groups() if given["whom"] == GROUPS else {}
        named = " and ".join(group.name for group in self.groups if group.pk in groups) or "everyone"
        return ScheduleData(
            direction=Direction.EXPORT.value,
            name=given["name"] or f"{self.app.name}: {named}"[:200],
            app_id=self.app.pk,
            options={**kept, **self.read_options()},
            fields=self.read_fields(),
            groups=groups,
            everyone=given["whom"] == EVERYONE,
            mode=given["mode"],
            after_changes=given["after_changes"],
            enabled=given["enabled"],
            guard_share=None if given.get("guard") is None else given["guard"] / 100,
            **self.read_rhythm(),
        )

    def _chosen_groups(self) -> dict[int, str]:
        given = self.cleaned_data
        chosen = [group for group in self.groups if given.get(f"group-{group.pk}")]
        return {group.pk: (given.get(f"group-name-{group.pk}") or group.name).strip() for group in chosen}

    def _add_known_fields(self) -> None:
        properties = [("", gettext("Not sent")), *((rule.key, f"{rule} ({_type_of(rule)})") for rule in self.rules)]
        for index, field in enumerate(self.target.fields):
            self.fields[f"from-{index}"] = forms.ChoiceField(
                label=gettext("Property for %(field)s") % {"field": field.key}, choices=properties, required=False
            )
        set_choices(
            self, "key_field", [("", gettext("Choose…")), *((field.key, field.key) for field in self.target.fields)]
        )

    def _add_free_fields(self) -> None:
        for rule in self.rules:
            self.fields[f"to-{rule.key}"] = forms.CharField(
                label=gettext("Field for %(rule)s") % {"rule": rule},
                required=False,
                max_length=200,
                widget=forms.TextInput(
                    attrs={"placeholder": gettext("Not sent"), "autocomplete": "off", "spellcheck": "false"}
                ),
            )


def _type_of(rule: ProfilePropertyRule) -> str:
    text = rule.type_in_words.lower()
    return gettext("%(type)s, identifies") % {"type": text} if rule.is_unique else text


def read_known(given: Mapping[str, Any]) -> list[str]:
    """The fields of the App that a form was shown with."""
    names: list[str] = []
    while (name := given.get(f"field-{len(names)}")) is not None:
        names.append(str(name))
    return names


def initial_of(data: ScheduleData, target: Writable, rules: Sequence[ProfilePropertyRule]) -> dict[str, Any]:
    """What the form shows of a schedule that exists."""
    key_field = data.options.get("key_field", "")
    known = {field.key for field in target.fields}
    field_of = {key: name for name, key in data.fields.items() if name not in known}
    mapped: dict[str, Any] = {f"to-{rule.key}": field_of.get(rule.key, "") for rule in rules}
    mapped |= {f"from-{index}": data.fields.get(field.key, "") for index, field in enumerate(target.fields)}
    return {
        "name": data.name,
        "whom": EVERYONE if data.everyone else GROUPS,
        "key_field": key_field if target.fields else data.fields.get(key_field, ""),
        "mode": data.mode,
        "after_changes": data.after_changes,
        "enabled": data.enabled,
        "guard": None if data.guard_share is None else f"{100 * data.guard_share:g}",
        **{f"option-{option.key}": data.options.get(option.key) for option in target.options},
        **{f"group-{group_id}": True for group_id in data.groups},
        **{f"group-name-{group_id}": name for group_id, name in data.groups.items()},
        **mapped,
        **initial_rhythm(every_minutes=data.every_minutes, cron=data.cron),
    }


def guess(target: Writable, rules: Sequence[ProfilePropertyRule]) -> dict[str, Any]:
    """A first mapping: fields named like properties; where fields are free, what identifies people and their names."""
    by_name = {rule.key.replace("_", ""): rule.key for rule in rules}
    guessed: dict[str, Any] = {}
    for index, field in enumerate(target.fields):
        guessed[f"from-{index}"] = by_name.get(field.key.casefold().replace("_", "").replace(" ", ""), "")
    if not target.fields:
        guessed |= {f"to-{rule.key}": rule.key for rule in rules if rule.is_unique}
    emails = [rule for rule in rules if rule.is_unique and rule.type == "email"]
    unique = emails or [rule for rule in rules if rule.is_unique]
    if unique and not target.fields:
        guessed["key_field"] = unique[0].key
    elif unique:
        keys = {guessed[f"from-{index}"]: field.key for index, field in enumerate(target.fields)}
        guessed["key_field"] = next((keys[rule.key] for rule in unique if rule.key in keys), "")
    return guessed


def _option_field(option: Option, target: Writable) -> forms.Field:
    choices = target.choices.get(option.key) or option.choices
    if option.kind is OptionKind.BOOLEAN:
        return forms.BooleanField(
            label=option.label,
            help_text=option.help,
            required=False,
            initial=option.default,
            widget=forms.CheckboxInput(attrs=LOADS),
        )
    if choices:
        given = [("", gettext("Choose…")), *choices]
        return forms.ChoiceField(
            label=option.label,
            help_text=option.help,
            required=option.required,
            choices=given,
            initial=option.default,
            widget=forms.Select(attrs=LOADS),
        )
    attrs = {"placeholder": option.placeholder, "autocomplete": "off", "spellcheck": "false"}
    if option.key.endswith("table") and target.names:
        attrs |= {"list": "tables", **LOADS}
    is_long = option.kind in (OptionKind.SQL, OptionKind.JSON)
    return forms.CharField(
        label=option.label,
        help_text=option.help,
        required=option.required,
        max_length=None if is_long else 200,
        initial=option.default,
        widget=forms.Textarea(attrs={**attrs, "rows": 6, "class": "is-code"}) if is_long else forms.TextInput(attrs),
    )
