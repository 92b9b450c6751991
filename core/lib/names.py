"""Names of columns and keys as people mean them."""

from __future__ import annotations


def fold_name(name: str) -> str:
    """A name without what people do not mean by it: case, spaces, underscores. firstName is First Name."""
    return "".join(name.split()).replace("_", "").casefold()
