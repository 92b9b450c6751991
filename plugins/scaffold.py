"""Writes a new plugin package from `plugins/template/`, which is itself a plugin that works and is tested.

Called by `python manage.py startplugin`. The template's words “my tool” are replaced by the new plugin's name, in the
names of files too.
"""

from __future__ import annotations

import re
from pathlib import Path

from core.lib.errors import InvalidInput, Refused
from plugins import registry

TEMPLATE = Path(__file__).with_name("template")

_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*").fullmatch
_LONGEST = 40
_LEFT_OUT = frozenset({"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"})
_ENDINGS = frozenset({".py", ".toml", ".md"})


def write_plugin(name: str, *, folder: Path) -> list[Path]:
    """Write the package into `folder`, which is made; the files written.

    `name` is what the tool is called, in small letters: "acme-crm". Raises InvalidInput for a name that cannot be used,
    Refused when something would be overwritten.
    """
    if not _NAME(name) or len(name) > _LONGEST:
        raise InvalidInput(
            f"Give the plugin a name of at most {_LONGEST} small letters and digits, such as acme-crm, not “{name}”."
        )
    words = re.split("[_-]", name)
    key = "_".join(words)
    if key in {app.spec.key for app in registry.all_apps()}:
        raise InvalidInput(f"There is an App type with the key {key} already: give the plugin another name.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"{folder} is not empty: name another place with --directory.")
    replacements = {
        "my_tool": key,
        "my-tool": "-".join(words),
        "MyTool": "".join(word.capitalize() for word in words),
        "My tool": " ".join(words).capitalize(),
    }
    return [_write(path, folder, replacements) for path in sorted(_list_files())]


def _list_files() -> list[Path]:
    return [
        path.relative_to(TEMPLATE)
        for path in TEMPLATE.rglob("*")
        if path.suffix in _ENDINGS and not _LEFT_OUT.intersection(path.parts)
    ]


def _write(path: Path, folder: Path, replacements: dict[str, str]) -> Path:
    placeholders = re.compile("|".join(map(re.escape, replacements)))

    def fill_in(text: str) -> str:
        return placeholders.sub(lambda found: replacements[found[0]], text)

    target = folder / fill_in(str(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(fill_in((TEMPLATE / path).read_text(encoding="utf-8")), encoding="utf-8")
    return target
