"""Every address of the product, from the resolver, with something in the place of its variables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.converters import IntConverter, PathConverter, SlugConverter, StringConverter, UUIDConverter

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# Of rows that no test makes, so that a call that is let in finds nothing to change.
_VALUES = (
    ("int", IntConverter, "987654321"),
    ("uuid", UUIDConverter, "0198c0de-0000-7000-8000-000000000000"),
    ("slug", SlugConverter, "nothing"),
    ("path", PathConverter, "nothing"),
    ("str", StringConverter, "nothing"),
)


@dataclass(frozen=True, slots=True)
class Address:
    """One address: its name with namespaces, a path that leads to it, and its view."""

    name: str
    path: str
    view: Any

    @property
    def endpoint(self) -> Any:
        """The class of an endpoint; None for a page."""
        return getattr(self.view, "cls", None)


def list_addresses() -> list[Address]:
    """All of them, in the resolver's order."""
    return list(_walk(get_resolver().url_patterns, prefix="/", names=()))


def _walk(patterns: list[Any], *, prefix: str, names: tuple[str, ...]) -> Iterator[Address]:
    for pattern in patterns:
        path = prefix + _fill_in(pattern)
        if isinstance(pattern, URLResolver):
            inner = (*names, pattern.namespace) if pattern.namespace else names
            yield from _walk(pattern.url_patterns, prefix=path, names=inner)
        elif isinstance(pattern, URLPattern):
            yield Address(":".join((*names, pattern.name or "")), path, pattern.callback)


def _fill_in(pattern: URLPattern | URLResolver) -> str:
    """The route with a value for each variable; one of an unknown kind fails, so that the walk stays whole."""
    route = str(pattern.pattern)
    for name, converter in pattern.pattern.converters.items():
        kind, value = next((kind, value) for kind, known, value in _VALUES if isinstance(converter, known))
        route = route.replace(f"<{name}>", value).replace(f"<{kind}:{name}>", value)
    assert "<" not in route, f"{route} has a variable this walk cannot fill in: add its converter to _VALUES"
    return route
