"""The Marketplace's data: every plugin with its words, and offers that are true."""

from __future__ import annotations

import re

from django.core.management import get_commands

from core.lib.servers import PROJECT
from plugins import marketplace, registry
from plugins.base import CAPABILITIES


def test_every_capability_has_its_words() -> None:
    assert tuple(marketplace.ABILITIES) == CAPABILITIES
    for app in registry.all_apps():
        assert marketplace.list_abilities(app)


def test_every_app_type_is_listed_once_with_the_plugin_it_comes_from() -> None:
    listed = [app for plugin in marketplace.installed() for app in plugin.app_types]
    assert sorted(app.spec.key for app in listed) == sorted(app.spec.key for app in registry.all_apps())


def test_the_built_in_plugins_come_first_and_say_so() -> None:
    plugins = marketplace.installed()
    count = len(registry.BUILT_IN)
    assert [plugin.is_built_in for plugin in plugins] == [True] * count + [False] * (len(plugins) - count)
    assert all(not plugin.problem for plugin in plugins[:count])


def test_what_is_offered_exists() -> None:
    assert marketplace.offered()
    for offer in marketplace.offered():
        assert (PROJECT / offer.document).is_file()
        assert offer.description.endswith(".")
        assert offer.then.endswith(".")
        for command in re.findall(r"manage\.py (\w+)", offer.command):
            assert command in get_commands()
