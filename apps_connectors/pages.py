"""What the pages of Apps show. Secrets are never among it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext, gettext_noop, ngettext

from apps_connectors import samples
from apps_connectors.forms import Loaded
from apps_connectors.models import App
from apps_connectors.queries import find_spec, show_options
from core.lib.errors import NotFound, Refused
from core.ui import icons, search
from core.ui.search import Hit
from core.ui.wording import counted
from plugins import registry
from plugins.base import ExportsProfiles, ForwardsEvents, GivesSamples, ImportsRecords, RetrievesProperties
from plugins.contracts import AppSpec, Option, OptionKind

_SPARE_ICON = "plug"
_CAN: tuple[tuple[type, str, str], ...] = (
    (ImportsRecords, gettext_noop("import"), "download"),
    (RetrievesProperties, gettext_noop("properties"), "list"),
    (ExportsProfiles, gettext_noop("export"), "upload"),
    (ForwardsEvents, gettext_noop("events"), "zap"),
)


@dataclass(frozen=True, slots=True)
class ShownApp:
    """An App with its kind, its health as a word and a look, and what uses it."""

    app: App
    kind: str
    look: str
    word: str
    icon: str
    used_by: str
    is_installed: bool


@dataclass(frozen=True, slots=True)
class Offer:
    """An App type in the catalogue. `can` is pairs of a word and an icon."""

    spec: AppSpec
    icon: str
    can: tuple[tuple[str, str], ...]


# What the list of Apps is sorted by: health with what needs someone first.
SORTS: Mapping[str, Callable[[ShownApp], Any]] = {
    "name": lambda shown: shown.app.name.lower(),
    "health": lambda shown: ("bad", "off", "wait", "ok").index(shown.look),
    "tested": lambda shown: shown.app.tested_at,
}


def list_apps() -> list[ShownApp]:
    """Every App by name, with one statement."""
    return [_show(app) for app in _counted().order_by("name")]


def find_app(app_id: int) -> ShownApp:
    """One App. Raises NotFound."""
    app = _counted().filter(pk=app_id).first()
    if app is None:
        raise NotFound(gettext("There is no such App."))
    return _show(app)


def catalogue() -> list[Offer]:
    """Every App type that can be connected, by label."""
    return [offer(app.spec) for app in registry.all_apps()]


def offer(spec: AppSpec) -> Offer:
    """One App type as the catalogue shows it."""
    kind = registry.get(spec.key)
    return Offer(
        spec, icon_of(spec), tuple((gettext(word), icon) for base, word, icon in _CAN if issubclass(kind, base))
    )


def icon_of(spec: AppSpec | None) -> str:
    """The icon that a plugin names, if there is one of that name."""
    return spec.icon if spec and icons.exists(spec.icon) else _SPARE_ICON


def options_in_words(app: App) -> list[tuple[str, str]]:
    """Label and value of every option that is set; a secret shows that it is set and nothing else."""
    spec = find_spec(app)
    shown = show_options(app)
    if spec is None:
        return [(key, str(value)) for key, value in shown.items()]
    known = ((option, shown.get(option.key)) for option in spec.options)
    return [(option.label, _in_words(option, value)) for option, value in known if value not in (None, "")]


def has_samples(app: App) -> bool:
    """Whether its type can show tables and rows."""
    try:
        return issubclass(registry.get(app.type), GivesSamples)
    except registry.UnknownApp:
        return False


def load_choices(app: App, spec: AppSpec) -> dict[str, Loaded]:
    """The choices that the tool itself gives for an App's options, asked now."""
    found = {}
    for option in spec.options:
        if option.kind is OptionKind.LOADED_CHOICE:
            found[option.key] = _load(app, option)
    return found


def _load(app: App, option: Option) -> Loaded:
    try:
        choices = tuple(samples.list_choices(app.pk, option.key))
    except Refused as error:
        return Loaded(problem=error.message)
    current = app.options.get(option.key)
    if current and current not in dict(choices):
        choices = (*choices, (current, gettext("%(current)s, which the tool no longer has") % {"current": current}))
    return Loaded(choices)


def _counted() -> QuerySet[App, Any]:
    return App.objects.annotate(
        rule_count=Count("rules", filter=~Q(rules__state="deleted"), distinct=True),
        import_count=Count("schedules", filter=Q(schedules__direction="import"), distinct=True),
        export_count=Count("schedules", filter=Q(schedules__direction="export"), distinct=True),
        subscription_count=Count("subscriptions", distinct=True),
    )


def _show(app: Any) -> ShownApp:
    if app.paused_at is not None:
        look, word = "wait", gettext("Paused")
    elif app.test_ok is None:
        look, word = "off", gettext("Not tested yet")
    else:
        look, word = ("ok", gettext("Healthy")) if app.test_ok else ("bad", gettext("Does not answer"))
    spec = find_spec(app)
    return ShownApp(
        app=app,
        kind=spec.label if spec else gettext("%(type)s, whose plugin is not installed") % {"type": app.type},
        look=look,
        word=word,
        icon=icon_of(spec),
        used_by=", ".join(_list_uses(app)),
        is_installed=spec is not None,
    )


def _list_uses(app: Any) -> list[str]:
    """Such as: 2 import schedules; what there is none of is left out."""
    imports, exports, rules, events = app.import_count, app.export_count, app.rule_count, app.subscription_count
    uses = (
        (imports, ngettext("%(count)s import schedule", "%(count)s import schedules", imports)),
        (exports, ngettext("%(count)s export schedule", "%(count)s export schedules", exports)),
        (rules, ngettext("%(count)s property", "%(count)s properties", rules)),
        (events, ngettext("%(count)s event subscription", "%(count)s event subscriptions", events)),
    )
    return [counted(text, count) for count, text in uses if count]


def find_apps(text: str, limit: int) -> list[Hit]:
    """For the search box: Apps by words of their names and types."""
    found = search.named(App.objects.all(), text, "name", "type")[:limit]
    specs = ((app, find_spec(app)) for app in found)
    return [Hit(app.name, reverse("apps:show", args=[app.pk]), spec.label if spec else app.type) for app, spec in specs]


def _in_words(option: Option, value: Any) -> str:
    if option.kind is OptionKind.SECRET:
        return gettext("is kept, never shown")
    if option.kind is OptionKind.CHOICE:
        return dict(option.choices).get(value, str(value))
    if isinstance(value, bool):
        return gettext("Yes") if value else gettext("No")
    return str(value)
