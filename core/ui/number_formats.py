"""How the viewer writes numbers. Whatever asks no viewer (workers, the API, what is stored) writes 12,486.5."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from core.accounts.models import NumberFormat

_NARROW = "\u202f"  # the narrow no-break space: a number never breaks in two
_MARKS: dict[str, tuple[str, str]] = {  # what stands between thousands, and before the decimals
    NumberFormat.COMMA_POINT: (",", "."),
    NumberFormat.POINT_COMMA: (".", ","),
    NumberFormat.SPACE_COMMA: (_NARROW, ","),
    NumberFormat.APOSTROPHE_POINT: ("’", "."),
}
_current: ContextVar[str] = ContextVar("number_format", default=NumberFormat.COMMA_POINT)


@contextmanager
def override(chosen: str) -> Iterator[None]:
    """Write numbers in this format; an unknown one is the usual."""
    token = _current.set(chosen)
    try:
        yield
    finally:
        _current.reset(token)


def marked(text: str) -> str:
    """A number as Python writes it, "12,486.5", with the viewer's marks: "12.486,5"."""
    thousands, point = _MARKS.get(_current.get(), (",", "."))
    return text if thousands == "," else text.translate({ord(","): thousands, ord("."): point})
