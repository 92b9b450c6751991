"""Icons as inline SVG, drawn from the lucide package: 16 px, hidden from screen readers."""

from __future__ import annotations

from functools import lru_cache

import lucide
from django.utils.safestring import SafeString, mark_safe


@lru_cache(maxsize=256)
def draw(name: str, look: str = "icon") -> SafeString:
    """One icon. Raises `lucide.IconDoesNotExist`."""
    drawing = lucide._render_icon(  # noqa: SLF001  what the package's own template tag calls
        name, 16, **{"class": look, "stroke_width": "1.5", "aria_hidden": "true", "focusable": "false"}
    )
    return mark_safe(drawing)  # noqa: S308  the package's own drawing


@lru_cache(maxsize=256)
def exists(name: str) -> bool:
    """Whether there is an icon of this name, for names that come from plugins."""
    try:
        draw(name)
    except lucide.IconDoesNotExist:
        return False
    return True
