"""What the Marketplace shows: which plugins are installed, what they can do, and how to get more.

Asked by the Marketplace page and the API. `offered()` names only what exists; `python manage.py startplugin` is the
way to anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from plugins import registry
from plugins.base import (
    App,
    ExportsProfiles,
    FetchesFiles,
    ForwardsEvents,
    GivesSamples,
    ImportsRecords,
    ReadsBack,
    RetrievesProperties,
    TestsConnection,
)
from plugins.registry import InstalledPlugin, installed

__all__ = ["ABILITIES", "InstalledPlugin", "OfferedPlugin", "installed", "list_abilities", "offered"]

# What each capability means to a person, in the contract's order.
ABILITIES: Mapping[type, str] = MappingProxyType(
    {
        TestsConnection: "Tests its connection",
        GivesSamples: "Shows samples",
        ImportsRecords: "Imports records",
        FetchesFiles: "Fetches files from an address",
        RetrievesProperties: "Answers property rules",
        ExportsProfiles: "Exports profiles",
        ReadsBack: "Reads back what it holds",
        ForwardsEvents: "Receives events",
    }
)


@dataclass(frozen=True, slots=True)
class OfferedPlugin:
    """Something that can be installed. `command` is the one line for a shell in the project's folder."""

    label: str
    description: str
    icon: str
    command: str
    then: str  # what is left to do after the command, in a sentence
    document: str = ""  # where to read more, as a path in the project


_OFFERED = (
    OfferedPlugin(
        label="A plugin that someone wrote",
        description=(
            f"Any Python package with an entry point in the group {registry.GROUP} brings its Apps along. It runs with"
            " the rights of this installation, so install only what you trust."
        ),
        icon="package",
        command=".venv/bin/pip install PACKAGE",
        then="Start the web process, the workers and beat again; its Apps are then among those you can connect.",
        document="docs/plugins.md",
    ),
    OfferedPlugin(
        label="A plugin of your own",
        description="For a tool that is not here yet: writes a small package that works, with its tests. An afternoon.",
        icon="puzzle",
        command=".venv/bin/python manage.py startplugin NAME",
        then="Follow the README in the new folder: run its tests, install it, and change it from there.",
        document="docs/plugins.md",
    ),
)


def offered() -> tuple[OfferedPlugin, ...]:
    """What can be installed, beside what is."""
    return _OFFERED


def list_abilities(app: type[App]) -> tuple[str, ...]:
    """What an App type can do, in words."""
    return tuple(ABILITIES[capability] for capability in registry.capabilities(app))
