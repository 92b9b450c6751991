"""What calculated groups mean: their trees, read and compiled once for each change. Used inside `groups` alone."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from core.accounts import project
from core.lib.errors import InvalidInput
from groups.compile import Compiled, compile_tree
from groups.tree import Node, read_tree
from profiles import ruleset

log = logging.getLogger(__name__)

_KEPT = 2000  # compiled trees in a process


@dataclass(frozen=True, slots=True)
class Definition:
    """A calculated group as membership sees it."""

    group_id: int
    version: int
    node: Node
    compiled: Compiled


@dataclass(slots=True)
class _Cache:
    """A state of the property rules and the project's settings, and the compiled trees by group for it.

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


def _define(group_id: int, version: int, rules: Any, *, cache: dict[tuple[int, int], Definition]) -> Definition:
    known = cache.get((group_id, version))
    if known is None:
        settings = project.current()
        node = read_tree(rules, by_key=ruleset.load().by_key, region=settings.phone_region)
        known = Definition(group_id, version, node, compile_tree(node, settings.time_zone))
        if len(cache) >= _KEPT:
            cache.clear()
        cache[group_id, version] = known
    return known


def _fresh_cache() -> dict[tuple[int, int], Definition]:
    settings = project.current()
    state = (ruleset.load().version, str(settings.time_zone), settings.phone_region)
    found = _cache.found
    if found is None or found[0] != state:
        found = _cache.found = state, {}
    return found[1]
