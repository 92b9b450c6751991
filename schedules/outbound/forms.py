"""The form of a subscription: which events, about whom, and which properties go along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext, gettext_lazy

from apps_connectors.models import App
from core.ui.forms import ProductForm, mark_needed
from groups.builder.draft import Draft
from profiles.models import ProfilePropertyRule
from schedules.models import Schedule
from schedules.outbound.bodies import SubscriptionData
from schedules.outbound.models import Match
from schedules.outbound.pages import say_events

EVERYONE, GROUPS, FOLLOW = "everyone", "groups", "follow"
_OFFERED = {"autocomplete": "off", "spellcheck": "false"}


class SubscriptionForm(ProductForm):
    """Everything a person decides of a subscription. The rules of the domain come back by `catching`."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("Left empty: the App and the events."),
    )
    which = forms.ChoiceField(  # the builder of conditions has a field named match
        label=gettext_lazy("Which events go out"),
        choices=[
            (Match.TYPE.value, gettext_lazy("Events of one type")),
            (Match.KEY.value, gettext_lazy("Events that have a value under one key")),
            (Match.EVERY.value, gettext_lazy("Every event of a person")),
        ],
        widget=forms.RadioSelect,
        initial=Match.TYPE.value,
    )
    type = forms.CharField(
        label=gettext_lazy("Type"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("As it stands on the event, such as cart_abandoned."),
        widget=forms.TextInput(attrs={"list": "types", **_OFFERED}),
    )
    key = forms.CharField(
        label=gettext_lazy("Key"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("A key of the payload, such as cart_abandoned_at."),
        widget=forms.TextInput(attrs={"list": "keys", **_OFFERED}),
    )
    whom = forms.ChoiceField(label=gettext_lazy("About whom"), widget=forms.RadioSelect, initial=EVERYONE)
    groups = forms.MultipleChoiceField(
        label=gettext_lazy("Groups"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("The person has to be in one of them once the event is processed."),
    )
    follows = forms.ChoiceField(
        label=gettext_lazy("Export"),
        required=False,
        help_text=gettext_lazy(
            "Its groups and its properties are used as they are at the time, also when they are changed there."
        ),
    )
    properties = forms.MultipleChoiceField(
        label=gettext_lazy("Properties that go along"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Under “profile”, after what identified the person."),
    )

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        app: App,
        groups: Mapping[int, str],
        rules: Sequence[ProfilePropertyRule],
        exports: Sequence[Schedule],
        before: SubscriptionData | None = None,
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(data, initial=initial or (initial_of(before) if before else None))
        self.app, self.before = app, before
        self.has_groups, self.has_exports = bool(groups), bool(exports)
        chosen = [key for key in (before.properties if before else ()) if key in {rule.key for rule in rules}]
        ordered = sorted(rules, key=lambda rule: chosen.index(rule.key) if rule.key in chosen else len(chosen))
        ways = [(EVERYONE, gettext("Anyone")), (GROUPS, gettext("People in one of some groups"))]
        if exports:
            ways.append((FOLLOW, gettext("As an export does: its groups and its properties")))
        self._offer("whom", ways)
        self._offer("groups", [(str(pk), name) for pk, name in groups.items()])
        self._offer("follows", [("", gettext("Choose…")), *((str(each.pk), each.name) for each in exports)])
        for name in ("type", "key", "groups", "follows"):
            mark_needed(self.fields[name])
        self._offer("properties", [(rule.key, str(rule)) for rule in ordered])

    def clean(self) -> dict[str, Any]:
        """What is wrong beside the field it is about."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("whom") == GROUPS and not cleaned.get("groups") and "groups" not in self.errors:
            self.add_error("groups", gettext("Choose at least one group, or events about anyone."))
        if cleaned.get("whom") == FOLLOW and not cleaned.get("follows") and "follows" not in self.errors:
            self.add_error("follows", gettext("Choose the export to follow, or another way."))
        return cleaned

    def read_data(self, draft: Draft) -> SubscriptionData:
        """What was decided, with the conditions of the builder's draft; call it when the form is valid.

        What the form does not ask stays as it was.
        """
        given = self.cleaned_data
        match, whom = given["which"], given["whom"]
        value = "" if match == Match.EVERY else given[match].strip()
        return SubscriptionData(
            name=given["name"] or f"{self.app.name}: {say_events(match, value)}"[:200],
            app_id=self.app.pk,
            match=match,
            value=value,
            groups=tuple(int(each) for each in given["groups"]) if whom == GROUPS else (),
            properties=tuple(given["properties"]) if whom != FOLLOW else (),
            follows=int(given["follows"]) if whom == FOLLOW else None,
            where=tuple(draft.conditions()),
            people=None if draft.is_empty else draft.tree(),
            options=self.before.options if self.before else {},
        )

    def names(self) -> dict[str, str]:
        """Which field shows a problem with the domain's `match` and `value`."""
        match = self.cleaned_data.get("which")
        return {"match": "which", "value": match if match in (Match.TYPE, Match.KEY) else "which"}

    def _offer(self, name: str, choices: Sequence[tuple[str, str]]) -> None:
        cast("forms.ChoiceField", self.fields[name]).choices = list(choices)


def shown_again(given: QueryDict) -> dict[str, Any]:
    """What the form shows when it was sent to be shown once more: everything as it was, and nothing is checked."""
    several = ("groups", "properties")
    return {name: given.getlist(name) if name in several else given.get(name) for name in {*given, *several}}


def initial_of(data: SubscriptionData) -> dict[str, Any]:
    """What the form shows of a subscription that exists."""
    return {
        "name": data.name,
        "which": data.match,
        "type": data.value if data.match == Match.TYPE else "",
        "key": data.value if data.match == Match.KEY else "",
        "whom": FOLLOW if data.follows else GROUPS if data.groups else EVERYONE,
        "groups": [str(each) for each in data.groups],
        "follows": str(data.follows or ""),
        "properties": list(data.properties),
    }
