"""The body of a request as a person wrote it: JSON in which `{{email}}` stands for a value.

The text is read as JSON first, and values are put into what was read: no value can break out of its place. Alone in
its quotes a variable becomes the value with its type, inside a longer text its words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson

from core.lib.json import dumps
from plugins.contracts import Halt

OPTION = "template"
ACTION, KEY, PROFILE = "action", "key", "profile"
OWN_NAMES = frozenset({"id", ACTION, KEY, "old_key", PROFILE, "groups"})  # of a message; all others are fields
_LONGEST = 10_000
_DEEPEST = 32
_VARIABLE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Template:
    """A body with places for values; `names` are the variables it has, each once, in the order of their first use."""

    tree: Any
    names: tuple[str, ...]

    def fill(self, message: Mapping[str, Any]) -> Any:
        """The body for one message, whose fields stand under `profile`. Raises `NotStorable`."""
        return _replace(self.tree, {**message[PROFILE], **message})


def read_template(text: Any) -> Template | None:
    """The template that a person wrote, None where there is none. Raises `Halt` with what is wrong with it."""
    if text is None or text == "":
        return None
    if not isinstance(text, str) or len(text) > _LONGEST:
        _refuse(f"has to be a text of at most {_LONGEST:,} characters")
    try:
        tree = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        _refuse(
            f"is not JSON: look at line {error.lineno}, column {error.colno}. Put every {{{{…}}}} into quotes, also"
            " for numbers: alone in its quotes a value keeps its type"
        )
    names = tuple(dict.fromkeys(name for each in _texts(tree) for name in _names(each)))
    if not names:
        _refuse("names no value: write {{email}} where the field “email” belongs, or {{profile}} for all fields")
    fields = [name for name in names if name not in OWN_NAMES]
    if fields and PROFILE in names:
        _refuse(f"names both {{{{profile}}}}, which holds all fields, and {{{{{fields[0]}}}}}: choose one of the two")
    return Template(tree, names)


def _texts(tree: Any, depth: int = 0) -> Iterator[str]:
    """Every text of the tree in which variables may stand."""
    if depth > _DEEPEST:
        _refuse(f"has more than {_DEEPEST} levels")
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, list):
        for each in tree:
            yield from _texts(each, depth + 1)
    elif isinstance(tree, dict):
        for name, each in tree.items():
            if "{{" in name:
                _refuse(f"has the name “{name}”: {{{{…}}}} may stand in values alone")
            yield from _texts(each, depth + 1)


def _names(text: str) -> Iterator[str]:
    if "{{" in _VARIABLE.sub("", text):
        _refuse(f"has a {{{{ without its }}}} in “{text[:100]}”")
    for match in _VARIABLE.finditer(text):
        if not match.group(1):
            _refuse("has {{}} without a name in it")
        yield match.group(1)


def _replace(tree: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(tree, dict):
        return {name: _replace(each, values) for name, each in tree.items()}
    if isinstance(tree, list):
        return [_replace(each, values) for each in tree]
    if not isinstance(tree, str):
        return tree
    alone = _VARIABLE.fullmatch(tree)
    return values.get(alone.group(1)) if alone else _VARIABLE.sub(_writer(values), tree)


def _writer(values: Mapping[str, Any]) -> Callable[[re.Match[str]], str]:
    return lambda match: _write(values.get(match.group(1)))


def _write(value: Any) -> str:
    """A value inside a longer text."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list | tuple):
        return ", ".join(map(_write, value))
    return dumps(value)


def _refuse(problem: str) -> NoReturn:
    raise Halt(f"The body template {problem}.", option=OPTION)
