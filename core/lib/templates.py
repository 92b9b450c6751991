"""Templates with variables in double braces, such as `select name from users where id = {{profile.user_id}}`.

Pure text work: which variables a template has and where they stand. What a variable is replaced by (a bound value in a
query, text elsewhere) is the caller's matter. Used by property rules (which rule depends on which) and by plugins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

HIGH_WATER_MARK = "high_water_mark"

_BRACES = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_PROPERTY = re.compile(r"profile\.([a-z][a-z0-9_]*)")


class TemplateError(ValueError):
    """A template that cannot be read; the text is a sentence for the person who wrote it."""


@dataclass(frozen=True, slots=True)
class Variable:
    """What stands between two braces: a property key, or `high_water_mark` with `is_property` False."""

    key: str
    is_property: bool = True


def split(template: str) -> Iterator[str | Variable]:
    """The template's pieces in order, text and variables. Raises `TemplateError`."""
    end = 0
    for match in _BRACES.finditer(template):
        yield from _text(template[end : match.start()])
        yield read_variable(match.group(1))
        end = match.end()
    yield from _text(template[end:])


def variables(template: str) -> list[str]:
    """The property keys a template reads, each once, in the order of their first use. Raises `TemplateError`."""
    found = (part for part in split(template) if isinstance(part, Variable))
    return list(dict.fromkeys(part.key for part in found if part.is_property))


def read_variable(inside: str) -> Variable:
    """The variable named between two braces. Raises `TemplateError` for anything else."""
    name = inside.strip()
    if name == HIGH_WATER_MARK:
        return Variable(name, is_property=False)
    match = _PROPERTY.fullmatch(name)
    if not match:
        raise TemplateError(f"{{{{{name}}}}} is not a variable: write {{{{profile.KEY}}}} with the key of a property.")
    return Variable(match.group(1))


def _text(piece: str) -> Iterator[str]:
    if "{{" in piece:
        raise TemplateError("There is a {{ without its }}.")
    if piece:
        yield piece
