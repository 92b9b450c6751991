"""Which App types there are. Everyone who needs one asks here; only this module loads plugins.

Built-in and installed plugins come through the same door: an entry point of the group `grouparoo.plugins` names an
App type, or a sequence of them, and each is checked before anyone can use it. A built-in that fails the checks fails
the start of the process; another's plugin that fails is left out, `installed()` says why, and nothing else is harmed.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from itertools import chain
from types import MappingProxyType
from typing import Any

from core.lib.errors import Refused
from plugins.base import CAPABILITIES, App, ExportsProfiles, ForwardsEvents
from plugins.contracts import AppSpec, Option, OptionKind, SyncMode

GROUP = "grouparoo.plugins"

BUILT_IN: tuple[EntryPoint, ...] = tuple(
    EntryPoint(name, value, GROUP)
    for name, value in (
        ("csv", "plugins.csv:Csv"),
        ("customerio", "plugins.customerio:Customerio"),
        ("demo", "plugins.demo:Demo"),
        ("hubspot", "plugins.hubspot:Hubspot"),
        ("mailchimp", "plugins.mailchimp:Mailchimp"),
        ("mysql", "plugins.mysql:Mysql"),
        ("postgres", "plugins.postgres:Postgres"),
        ("sqlite", "plugins.sqlite:Sqlite"),
        ("webhook", "plugins.webhook:Webhook"),
    )
)

_LONGEST_PROBLEM = 500
_KEY = re.compile(r"[a-z][a-z0-9_]*").fullmatch
_DEFAULTS: Mapping[OptionKind, tuple[type, ...]] = {
    OptionKind.NUMBER: (int, float),
    OptionKind.BOOLEAN: (bool,),
}

log = logging.getLogger(__name__)


class InvalidPlugin(Exception):
    """A plugin breaks the contract; the text says where."""


class UnknownApp(Refused, LookupError):
    """No installed plugin offers an App type of this key."""


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """One entry point: where it comes from, and the App types it gives, or why it cannot be used (`problem`)."""

    name: str
    value: str  # as the entry point says it: "package.module:Name"
    package: str  # what pip calls it; "" for what is built in
    version: str
    summary: str
    app_types: tuple[type[App], ...] = ()
    problem: str = ""
    is_built_in: bool = False


@dataclass(frozen=True, slots=True)
class _Loaded:
    apps: Mapping[str, type[App]]
    plugins: tuple[InstalledPlugin, ...]


# ---------------------------------------------------------------- asking


def get(key: str) -> type[App]:
    """The App type of `key`. Raises `UnknownApp`."""
    try:
        return _load().apps[key]
    except KeyError:
        raise UnknownApp(
            f"No installed plugin offers an App of the type {key}. Install its plugin again; its settings are kept."
        ) from None


def all_apps() -> tuple[type[App], ...]:
    """Every usable App type, in the order of their labels."""
    return tuple(sorted(_load().apps.values(), key=lambda app: app.spec.label.lower()))


def installed() -> tuple[InstalledPlugin, ...]:
    """Every plugin there is, also those that cannot be used: the built-in ones first, then by package and name."""
    return _load().plugins


def broken() -> tuple[InstalledPlugin, ...]:
    """The installed plugins that cannot be used."""
    return tuple(plugin for plugin in installed() if plugin.problem)


def capabilities(app: type[App]) -> tuple[type, ...]:
    """What an App type can do, in the contract's order."""
    return tuple(capability for capability in CAPABILITIES if issubclass(app, capability))


def load() -> None:
    """Load and check everything now; called when a process starts. Raises `InvalidPlugin` for a broken built-in."""
    _load()


def forget() -> None:
    """Load everything anew the next time someone asks; for tests that install a plugin."""
    _load.cache_clear()


# ---------------------------------------------------------------- loading


@lru_cache(maxsize=1)
def _load() -> _Loaded:
    apps: dict[str, type[App]] = {}
    plugins: list[InstalledPlugin] = []
    for entry in BUILT_IN:
        found = _open(entry)
        for app in found:
            add(apps, app)
        plugins.append(replace(_describe(entry), app_types=tuple(found), is_built_in=True))
    others: list[InstalledPlugin] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        plugin = _add_installed(apps, entry)
        if plugin.problem:
            log.warning("The plugin %s cannot be used: %s", entry.name, plugin.problem)
        others.append(plugin)
    others.sort(key=lambda plugin: (plugin.package.lower(), plugin.name))
    return _Loaded(MappingProxyType(apps), (*plugins, *others))


def _add_installed(apps: dict[str, type[App]], entry: EntryPoint) -> InstalledPlugin:
    """Add all App types of one installed plugin, or none of them and say why."""
    added = dict(apps)
    try:
        found = _open(entry)
        for app in found:
            add(added, app)
    except InvalidPlugin as error:
        return replace(_describe(entry), problem=str(error)[:_LONGEST_PROBLEM])
    except (Exception, SystemExit) as error:  # noqa: BLE001 - another's code: what its import raises harms nobody else
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return replace(_describe(entry), problem=text[:_LONGEST_PROBLEM])
    apps.update(added)
    return replace(_describe(entry), app_types=tuple(found))


def _describe(entry: EntryPoint) -> InstalledPlugin:
    if entry.dist is None:
        return InstalledPlugin(entry.name, entry.value, package="", version="", summary="")
    summary = entry.dist.metadata["Summary"] or ""
    return InstalledPlugin(entry.name, entry.value, entry.dist.name, entry.dist.version, summary)


def _open(entry: EntryPoint) -> Sequence[type[App]]:
    found = entry.load()
    if isinstance(found, type):
        return (found,)
    if isinstance(found, Sequence) and found and not isinstance(found, str):
        return found
    raise InvalidPlugin(f"{entry.value} is neither an App type nor a sequence of them.")


def add(apps: dict[str, type[App]], app: Any) -> None:
    """Check one App type and put it into `apps` under its key. Raises `InvalidPlugin`."""
    check(app)
    if app.spec.key in apps:
        other = apps[app.spec.key].__module__
        raise InvalidPlugin(f"There is an App type with the key {app.spec.key} already, in {other}.")
    apps[app.spec.key] = app


# ---------------------------------------------------------------- checks


def check(app: Any) -> None:
    """Whether an App type keeps the contract, as far as can be seen without a connection. Raises `InvalidPlugin`."""
    if not (isinstance(app, type) and issubclass(app, App)):
        raise InvalidPlugin(f"{app!r} is not a subclass of App.")
    spec = getattr(app, "spec", None)
    if not isinstance(spec, AppSpec):
        raise InvalidPlugin(f"{app.__name__} has no AppSpec as its spec.")
    for problem in chain(_problems_of_spec(spec), _problems_of_class(app)):  # the first one: later checks rely on it
        raise InvalidPlugin(f"{app.__name__}: {problem}.")


def _problems_of_spec(spec: AppSpec) -> Iterable[str]:
    for name in ("key", "label", "description", "icon"):
        if not (isinstance(getattr(spec, name), str) and getattr(spec, name).strip()):
            yield f"its spec has no {name}"
    if not _KEY(str(spec.key)):
        yield f"the key {spec.key!r} is not made of small letters, digits and underscores"
    if not (spec.categories and _are(spec.categories, str)):
        yield "its spec has no categories"
    if not isinstance(spec.parallel_calls, int) or spec.parallel_calls < 1:
        yield "it allows no calls at all (parallel_calls)"
    elif not isinstance(spec.most_parallel_calls, int) or spec.most_parallel_calls < spec.parallel_calls:
        yield "it allows more calls than the most that it may get (most_parallel_calls)"
    yield from _problems_of_options(spec.options)


def _problems_of_options(options: Sequence[Option]) -> Iterable[str]:
    if not _are(options, Option):
        yield "its options are not a tuple of Option"
        return
    keys = [option.key for option in options]
    for key in sorted({str(key) for key in keys if keys.count(key) > 1}):
        yield f"the option {key} is there more than once"
    for option in options:
        for problem in _problems_of_option(option):
            yield f"the option {option.key!r} {problem}"


def _problems_of_option(option: Option) -> Iterable[str]:
    if not _KEY(str(option.key)):
        yield "has a key that is not made of small letters, digits and underscores"
    if not option.label:
        yield "has no label"
    if not _are((option.label, option.help, option.placeholder), str):
        yield "has a label, help or placeholder that is no text"
    if not (_are(option.choices, tuple) and all(len(pair) == 2 and _are(pair, str) for pair in option.choices)):
        yield "has choices that are not pairs of a value and a label"
        return
    kind: object = option.kind  # a plugin from elsewhere may give anything
    if not isinstance(kind, OptionKind):
        yield f"is of the unknown kind {option.kind!r}"
        return
    if (option.kind is OptionKind.CHOICE) != bool(option.choices):
        yield "needs choices" if option.kind is OptionKind.CHOICE else "has choices, but is no choice"
    if option.default is None:
        return
    if option.kind is OptionKind.SECRET:
        yield "is a secret with a default"
    elif option.kind is OptionKind.CHOICE and option.default not in dict(option.choices):
        yield "has a default that is none of its choices"
    elif not isinstance(option.default, _DEFAULTS.get(option.kind, (str,))):
        yield f"has a default that is no {option.kind}"


def _are(values: object, kind: type) -> bool:
    """Whether `values` is a tuple of these; what a plugin from elsewhere gives may be anything."""
    return isinstance(values, tuple) and all(isinstance(value, kind) for value in values)


def _problems_of_class(app: type[App]) -> Iterable[str]:
    if not capabilities(app):
        yield "it can do nothing: it has none of the capabilities of plugins.base"
    if inspect.isabstract(app):
        yield f"it lacks {', '.join(sorted(getattr(app, '__abstractmethods__', ())))}"
    loaded = [option.key for option in app.spec.options if option.kind is OptionKind.LOADED_CHOICE]
    if loaded and app.choices is App.choices:
        yield f"it has no choices() for the option {loaded[0]}"
    if issubclass(app, ExportsProfiles):
        if not app.sync_modes or not app.sync_modes <= frozenset(SyncMode):
            yield "it exports, but in no known sync mode"
        if app.batch_size < 1:
            yield "its batches are empty (batch_size)"
        yield from _problems_of_options(app.target_options)
    if issubclass(app, ForwardsEvents) and app.event_batch_size < 1:
        yield "its batches of events are empty (event_batch_size)"
