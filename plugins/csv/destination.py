"""Exporting to CSV files: one per group, or `profiles.csv` where the export names no groups.

Batches go to the journal (see `store`); `finish` writes the files from it, each to a temporary name and then renamed,
so that a reader sees the old file or the new one and never half of one. Two exports need two folders: the target's
option `folder` names one inside the App's.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from plugins.base import ExportsProfiles, ReadsBack
from plugins.contracts import ACCEPTED, Option, Outcome, OutcomeKind, ProfileExport, SyncMode, Target
from plugins.csv.app import CsvFolder, errors_of_files
from plugins.csv.store import Store, opened

EVERYONE = "profiles.csv"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

_UNSAFE_NAME = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')
_PHONE = re.compile(r"\+\d{4,20}").fullmatch
_NO_KEY = Outcome(OutcomeKind.REJECT, "The profile has no value for the key field.")


class CsvDestination(CsvFolder, ExportsProfiles, ReadsBack):
    """The export half."""

    target_options: ClassVar[tuple[Option, ...]] = (
        Option(
            "folder",
            "Folder",
            help="A folder inside that of the App; each export needs its own. It is made when it is missing.",
        ),
    )
    batch_size = 5000

    def export(self, target: Target, batch: Sequence[ProfileExport]) -> Sequence[Outcome]:
        with opened(self._place(target)) as store:
            outcomes = [_NO_KEY if _lacks_key(item, target.key_field) else ACCEPTED for item in batch]
            items = [item for item, outcome in zip(batch, outcomes, strict=True) if outcome is ACCEPTED]
            _write(store, target, items)
        return outcomes

    def read_back(self, target: Target, keys: Sequence[Any]) -> Mapping[Any, Mapping[str, Any]]:
        with opened(self._place(target)) as store:
            found = store.existing([_key(key) for key in keys])
        return {key: found[_key(key)] for key in keys if _key(key) in found}

    def finish(self, target: Target) -> None:
        folder = self._place(target)
        files = name_files(target.groups) if target.groups else {"": EVERYONE}
        shape = json.dumps([list(target.fields.items()), target.key_field, files], ensure_ascii=False)
        with opened(folder) as store, errors_of_files(folder):
            if store.is_published(shape) and all((folder / name).exists() for name in files.values()):
                return
            store.name_files(list(files.values()))
            for group, name in files.items():
                rows = store.members(group) if target.groups else store.everyone()
                write_file(folder / name, target, rows)
            for name in store.files() - set(files.values()):  # of groups that are no longer exported
                (folder / name).unlink(missing_ok=True)
                _part_of(folder / name).unlink(missing_ok=True)  # left by whoever was killed while writing it
            _sync_folder(folder)
            store.publish(shape, files=list(files.values()))

    def _place(self, target: Target) -> Path:
        folder = self.inside(str(target.options.get("folder") or "."))
        with errors_of_files(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder


# ---------------------------------------------------------------- batches


def _write(store: Store, target: Target, items: Sequence[ProfileExport]) -> None:
    field = target.key_field
    if target.mode is SyncMode.ENRICH:
        keys = {_key(payload[field]) for item in items for payload in (item.old, item.new) if payload}
        there = store.existing(sorted(keys))
        items = [item for item in items if any(_key(p[field]) in there for p in (item.old, item.new) if p)]
    gone: list[str] = []
    held: dict[str, Mapping[str, Any]] = {}
    groups: dict[str, Sequence[str]] = {}
    for item in items:
        old, new = (None if payload is None else _key(payload[field]) for payload in (item.old, item.new))
        if item.new is not None and new is not None:
            held[new], groups[new] = dict(item.new), item.new_groups
        if old is None or old == new or not item.release_old_key:
            continue
        if new is None and target.mode is not SyncMode.SYNC:
            groups.setdefault(old, ())  # it may not be removed, but it has left its groups
        else:
            gone.append(old)
    store.write(gone=gone, held=held, groups=groups)


def _lacks_key(item: ProfileExport, field: str) -> bool:
    return any(payload is not None and payload.get(field) in (None, "") for payload in (item.old, item.new))


def _key(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


# ---------------------------------------------------------------- files


def write_file(path: Path, target: Target, payloads: Iterable[Mapping[str, Any]]) -> None:
    """Write one file as a whole: UTF-8, comma, every cell in quotes, dates and numbers as they are stored."""
    fields = [target.key_field, *(name for name in target.fields if name != target.key_field)]
    kinds = [(name, target.fields.get(name) == "phone_number") for name in fields]
    temporary = _part_of(path)
    with temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        writer.writerow([write_cell(name) for name in fields])
        writer.writerows(
            [write_cell(payload.get(name), is_phone=is_phone) for name, is_phone in kinds] for payload in payloads
        )
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _part_of(path: Path) -> Path:
    """Where a file is written before it takes its name."""
    return path.with_name(f".{path.name}.part")


def write_cell(value: Any, *, is_phone: bool = False) -> str:
    """A value as text that no spreadsheet takes for a formula; only numbers and telephone numbers start with a sign."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if text.startswith(FORMULA_STARTS) and not (is_phone and _PHONE(text)):
        return "'" + text
    return text


def name_files(groups: Sequence[str]) -> dict[str, str]:
    """A file name for each group: no part of a path, and no two alike on systems that do not tell case apart."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for group in sorted(groups):
        wanted = _UNSAFE_NAME.sub("_", group).strip(". ").encode()[:150].decode(errors="ignore") or "group"
        name, times = wanted, 1
        while name.casefold() in taken:
            times += 1
            name = f"{wanted} ({times})"
        taken.add(name.casefold())
        names[group] = f"{name}.csv"
    return names


def _sync_folder(folder: Path) -> None:
    """Make the renames last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
