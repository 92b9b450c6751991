"""What calculated groups mean: their trees, read and compiled once for each change. Used inside `groups` alone."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from core.accounts import project
from core.lib.errors import InvalidInput
from groups.compile import Compiled, Scope, compile_tree
from groups.reading import read_tree
from groups.tree import Node
from profiles import ruleset

log = logging.getLogger(__name__)

_KEPT = 2000  # compiled trees in a process


@dataclass(frozen=True, slots=True)
class Definition:
    """A calculated group as membership sees it."""

    group_id: int
    version: int
    node: Node
    zone: ZoneInfo
    _compiled: dict[Scope, Compiled] = field(default_factory=dict, compare=False)

    def compiled(self, scope: Scope) -> Compiled:
        """Its boolean for a scope, compiled when it is first needed."""
        found = self._compiled.get(scope)
        if found is None:
            found = self._compiled[scope] = compile_tree(self.node, self.zone, scope=scope)
        return found


@dataclass(slots=True)
class _Cache:
    """A state of the property rules and the project's settings, and the definitions by group for it.

    Replaced whole, as threads share it.
    """

    found: tuple[tuple[int, str, str], dict[tuple[int, int], Definition]] | None = None


_cache = _Cache()


def define(group_id: int, version: int, rules: Any) -> Definition:
    """The definition of a group from its row; raises InvalidInput when its rules no longer make sense."""
    return _define(group_id, version, rules, cache=_fresh_cache())


def define_many(rows: Iterable[tuple[int, int, Any]]) -> list[Definition]:
    """Definitions of rows (group id, version, rules). A group that makes no sense is left out and logged.

    An import must not stop because of one group; the group keeps its members until its rules are mended.
    """
    cache = _fresh_cache()
    found = []
    for group_id, version, rules in rows:
        try:
            found.append(_define(group_id, version, rules, cache=cache))
        except InvalidInput as error:
            log.error("group %s is not evaluated: %s", group_id, error.message)
    return found


def in_order(definitions: Iterable[Definition]) -> list[list[Definition]]:
    """Layers of groups, each reading none but groups of earlier layers (and groups that are not among these)."""
    waiting = {each.group_id: each for each in definitions}
    layers: list[list[Definition]] = []
    while waiting:
        ready = [each for each in waiting.values() if not each.node.group_ids & waiting.keys()]
        if not ready:  # saving refuses cycles; should there be one all the same, nobody waits for ever
            log.error("the groups %s read one another in a circle", sorted(waiting))
            ready = list(waiting.values())
        layers.append(sorted(ready, key=lambda each: each.group_id))
        for each in ready:
            del waiting[each.group_id]
    return layers


def _define(group_id: int, version: int, rules: Any, *, cache: dict[tuple[int, int], Definition]) -> Definition:
    known = cache.get((group_id, version))
    if known is None:
        settings = project.current()
        node = read_tree(rules, by_key=ruleset.load().by_key, region=settings.phone_region)
        known = Definition(group_id, version, node, settings.time_zone)
        if len(cache) >= _KEPT:
            cache.clear()
        cache[group_id, version] = known
    return known


def event_types(definitions: Sequence[Definition]) -> list[str]:
    """The types of events that any of these groups read."""
    return sorted({type_name for each in definitions for type_name in each.node.event_types})


def _fresh_cache() -> dict[tuple[int, int], Definition]:
    settings = project.current()
    state = (ruleset.load().version, str(settings.time_zone), settings.phone_region)
    found = _cache.found
    if found is None or found[0] != state:
        found = _cache.found = state, {}
    return found[1]
