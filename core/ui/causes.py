"""What a log row's cause means in words: "run:12" becomes "Warehouse: users, run 12" with a link.

Causes are stored as "kind:id". An app that owns a kind registers how to name its ids in its `AppConfig.ready()`, so
that a page of a lower app can name what an upper app did. One call names a whole page of causes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause as people read it. `url` is empty where there is no page for it."""

    label: str
    url: str = ""


Naming = Callable[[list[str]], Mapping[str, Cause]]

_namings: dict[str, Naming] = {}
_PLAIN: dict[str, str | Promise] = {
    "hydration": gettext_lazy("its source was asked again"),
    "system": "Grouparoo",
    "profile": gettext_lazy("their values changed"),
    "rules": gettext_lazy("the group was calculated"),
    "time": gettext_lazy("time passed"),
}


def register(kind: str, naming: Naming) -> None:
    """`naming` takes ids of this kind (as text) and gives the cause for each id that is still known."""
    _namings[kind] = naming


def name_all(causes: Iterable[str]) -> dict[str, Cause]:
    """Every given cause in words; one call to each kind's naming, so one query for each kind."""
    wanted = set(causes)
    by_kind: dict[str, list[str]] = {}
    for cause in wanted:
        kind, _, id_ = cause.partition(":")
        if id_:
            by_kind.setdefault(kind, []).append(id_)
    found = {cause: Cause(str(_PLAIN[cause])) for cause in wanted if cause in _PLAIN}
    for kind, ids in by_kind.items():
        if kind in _namings:
            named = _namings[kind](ids)
            found.update({f"{kind}:{id_}": cause for id_, cause in named.items()})
    return {cause: found.get(cause) or Cause(cause.replace("_", " ").replace(":", " ")) for cause in wanted}
