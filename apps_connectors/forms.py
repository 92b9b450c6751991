"""The form of an App: its name and whatever its plugin's options ask for.

Made from the plugin's spec alone. A secret never goes into the page: left empty it stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.forms.boundfield import BoundField
from django.utils.translation import gettext, gettext_lazy

from apps_connectors.models import App
from core.lib.secrets import MASK
from core.ui.forms import ProductForm
from plugins.contracts import AppSpec, Option, OptionKind

_OPTION, _FORGET = "option_", "forget_"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a tool answered when it was asked for an option's choices; `problem` says why there are none."""

    choices: tuple[tuple[str, str], ...] = ()
    problem: str = ""


class AppForm(ProductForm):
    """A new App, or changes to `app`. `kept` names the secrets it has, `loaded` holds the choices its tool gave."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=200,
        help_text=gettext_lazy("What your team calls this connection, such as Warehouse."),
    )
    parallel_calls = forms.IntegerField(
        label=gettext_lazy("Calls at the same time"),
        min_value=1,
        max_value=64,
        help_text=gettext_lazy("How many the tool may get at once, from all workers together."),
    )

    def __init__(
        self,
        spec: AppSpec,
        data: Mapping[str, Any] | None,
        *,
        app: App | None = None,
        kept: Collection[str] = (),
        loaded: Mapping[str, Loaded] | None = None,
    ) -> None:
        self.spec, self.kept = spec, frozenset(kept)
        known = app.options if app else {option.key: option.default for option in spec.options}
        initial = {f"{_OPTION}{key}": value for key, value in known.items()}
        initial["name"] = app.name if app else ""
        initial["parallel_calls"] = app.parallel_calls if app else spec.parallel_calls
        super().__init__(data, initial=initial)
        if spec.most_parallel_calls == spec.parallel_calls:
            calls = self.fields["parallel_calls"]
            calls.disabled, calls.help_text = (
                True,
                gettext("This is fixed: the tool takes no more at once, from all workers."),
            )
        for option in spec.options:
            if option.kind is OptionKind.LOADED_CHOICE and app is None and not option.required:
                continue  # the tool can only be asked once it is connected
            field = _make_field(option, is_kept=option.key in self.kept, loaded=(loaded or {}).get(option.key))
            self.add_field(f"{_OPTION}{option.key}", field)
            if option.key in self.kept and not option.required:
                forget = forms.BooleanField(
                    label=gettext("Forget the %(option)s that is kept") % {"option": option.label.lower()},
                    required=False,
                )
                self.add_field(f"{_FORGET}{option.key}", forget)

    @property
    def names(self) -> dict[str, str]:
        """The form's fields by the options' keys, for errors of the domain."""
        return {option.key: f"{_OPTION}{option.key}" for option in self.spec.options}

    def options(self) -> dict[str, Any]:
        """What was given, by option. An empty secret that is kept is given as the mask, which keeps it."""
        given = {}
        for option in self.spec.options:
            value = self.cleaned_data.get(f"{_OPTION}{option.key}")
            if option.kind is OptionKind.SECRET and not value and option.key in self.kept:
                value = None if self.cleaned_data.get(f"{_FORGET}{option.key}") else MASK
            given[option.key] = value
        return given

    def usual(self) -> Iterator[BoundField]:
        """The fields that everyone fills in."""
        later = {field.name for field in self.advanced()}
        return (field for field in self if field.name not in later)

    def advanced(self) -> list[BoundField]:
        """The fields that most leave as they are."""
        keys = [f"{_OPTION}{option.key}" for option in self.spec.options if _is_advanced(option)]
        return [self[key] for key in keys] + [self["parallel_calls"]]

    def advanced_is_wrong(self) -> bool:
        """Whether one of the fields that are folded away needs mending."""
        return any(field.errors for field in self.advanced())


def _is_advanced(option: Option) -> bool:
    return not option.required and (option.kind is OptionKind.NUMBER or "(advanced)" in option.label)


def _make_field(option: Option, *, is_kept: bool, loaded: Loaded | None) -> forms.Field:
    help_text = option.help
    common: dict[str, Any] = {
        "label": option.label.replace(" (advanced)", ""),
        "required": option.required and not is_kept,
        "error_messages": {"required": gettext("%(option)s is needed.") % {"option": option.label}},
    }
    if option.kind is OptionKind.BOOLEAN:
        return forms.BooleanField(**{**common, "required": False}, help_text=help_text)
    if option.kind is OptionKind.CHOICE:
        return forms.ChoiceField(choices=option.choices, help_text=help_text, **common)
    if option.kind is OptionKind.LOADED_CHOICE and loaded is not None and not loaded.problem:
        empty = [] if option.required else [("", gettext("None chosen"))]
        return forms.CharField(widget=forms.Select(choices=[*empty, *loaded.choices]), help_text=help_text, **common)
    if option.kind is OptionKind.LOADED_CHOICE and loaded is not None:
        help_text = (
            gettext("%(help_text)s Its choices cannot be shown: %(problem)s")
            % {"help_text": help_text, "problem": loaded.problem}
        ).strip()
    if is_kept:
        help_text = (
            gettext("%(help_text)s One is kept and never shown; leave this empty to keep it.")
            % {"help_text": help_text}
        ).strip()
    return forms.CharField(widget=_make_widget(option), strip=False, help_text=help_text, **common)


def _make_widget(option: Option) -> forms.Widget:
    attrs = {"autocomplete": "off", "spellcheck": "false"}
    if option.placeholder:
        attrs["placeholder"] = option.placeholder
    if option.kind is OptionKind.SECRET:
        return forms.PasswordInput(attrs={**attrs, "autocomplete": "new-password"}, render_value=False)
    if option.kind in (OptionKind.SQL, OptionKind.JSON):
        return forms.Textarea(attrs={**attrs, "class": "is-code"})
    if option.kind is OptionKind.NUMBER:
        return forms.NumberInput(attrs={**attrs, "step": "any"})
    return forms.TextInput(attrs=attrs)
