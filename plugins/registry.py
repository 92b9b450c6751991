"""Which App types there are. Everyone who needs one asks here; only this module loads plugins.

Built-in and installed plugins come through the same door: an entry point of the group `grouparoo.plugins` names an
App type, or a sequence of them, and each is checked before anyone can use it. A built-in that fails the checks fails
the start of the process; another's plugin that fails is listed by `broken()` and takes nothing else down.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from plugins.base import CAPABILITIES, App, ExportsProfiles
from plugins.contracts import AppSpec, Option, OptionKind, SyncMode

GROUP = "grouparoo.plugins"

BUILT_IN: tuple[EntryPoint, ...] = tuple(
    EntryPoint(name, value, GROUP)
    for name, value in (
        ("csv", "plugins.csv:Csv"),
        ("demo", "plugins.demo:Demo"),
        ("mysql", "plugins.mysql:Mysql"),
        ("postgres", "plugins.postgres:Postgres"),
        ("sqlite", "plugins.sqlite:Sqlite"),
        ("webhook", "plugins.webhook:Webhook"),
    )
)

_KEY = re.compile(r"[a-z][a-z0-9_]*").fullmatch
_DEFAULTS: Mapping[OptionKind, tuple[type, ...]] = {
    OptionKind.NUMBER: (int, float),
    OptionKind.BOOLEAN: (bool,),
}

log = logging.getLogger(__name__)


class InvalidPlugin(Exception):
    """A plugin breaks the contract; the text says where."""


class UnknownApp(LookupError):
    """No installed plugin offers an App type of this key."""


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """An installed plugin that cannot be used: its entry point, the package it came with, and why."""

    name: str
    value: str
    package: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Loaded:
    apps: Mapping[str, type[App]]
    broken: tuple[BrokenPlugin, ...]


# ---------------------------------------------------------------- asking


def get(key: str) -> type[App]:
    """The App type of `key`. Raises `UnknownApp`."""
    try:
        return _load().apps[key]
    except KeyError:
        raise UnknownApp(f"No installed plugin offers an App of the type {key}.") from None


def all_apps() -> tuple[type[App], ...]:
    """Every usable App type, in the order of their labels."""
    return tuple(sorted(_load().apps.values(), key=lambda app: app.spec.label.lower()))


def broken() -> tuple[BrokenPlugin, ...]:
    """The installed plugins that failed the checks."""
    return _load().broken


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
    for entry in BUILT_IN:
        for app in _open(entry):
            add(apps, app)
    failures: list[BrokenPlugin] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        reason = _add_installed(apps, entry)
        if reason:
            package = entry.dist.name if entry.dist else ""
            failures.append(BrokenPlugin(entry.name, entry.value, package, reason))
            log.warning("The plugin %s cannot be used: %s", entry.name, reason)
    return _Loaded(MappingProxyType(apps), tuple(failures))


def _add_installed(apps: dict[str, type[App]], entry: EntryPoint) -> str:
    """Add all App types of one installed plugin, or none of them and say why."""
    added = dict(apps)
    try:
        for app in _open(entry):
            add(added, app)
    except InvalidPlugin as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - another's code: whatever its import raises must harm nothing else
        return f"{type(error).__name__}: {error}"
    apps.update(added)
    return ""


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
        raise InvalidPlugin(f"There is an App type with the key {app.spec.key} already.")
    apps[app.spec.key] = app


# ---------------------------------------------------------------- checks


def check(app: Any) -> None:
    """Whether an App type keeps the contract, as far as can be seen without a connection. Raises `InvalidPlugin`."""
    if not (isinstance(app, type) and issubclass(app, App)):
        raise InvalidPlugin(f"{app!r} is not a subclass of App.")
    spec = getattr(app, "spec", None)
    if not isinstance(spec, AppSpec):
        raise InvalidPlugin(f"{app.__name__} has no AppSpec as its spec.")
    for problem in (*_problems_of_spec(spec), *_problems_of_class(app)):
        raise InvalidPlugin(f"{app.__name__}: {problem}.")


def _problems_of_spec(spec: AppSpec) -> Iterable[str]:
    if not _KEY(spec.key):
        yield f"the key {spec.key!r} is not made of small letters, digits and underscores"
    for name in ("label", "description", "icon", "categories"):
        if not getattr(spec, name):
            yield f"its spec has no {name}"
    if spec.parallel_calls < 1:
        yield "it allows no calls at all (parallel_calls)"
    keys = [option.key for option in spec.options]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield f"the option {key} is there more than once"
    for option in spec.options:
        for problem in _problems_of_option(option):
            yield f"the option {option.key!r} {problem}"


def _problems_of_option(option: Option) -> Iterable[str]:
    if not _KEY(option.key):
        yield "has a key that is not made of small letters, digits and underscores"
    if not option.label:
        yield "has no label"
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
