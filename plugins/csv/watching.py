"""Which files of a watched path are new or changed. Pure, but for looking at the folder.

A path names one file, a folder, or files by a pattern such as `orders-*.csv`. Files are read in the order in which they
were last changed: by the file system's own time of change (ctime), which no copying program sets back, then by name. A
mark's `changed` is that time of the file that was read last, its `id` how many lines were read and the file's name; its
`offset` is where reading goes on, and None when the file is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from plugins.contracts import Mark

ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
EVERY = "*"  # the pattern of every file of a folder


@dataclass(frozen=True, slots=True, order=True)
class Watched:
    """One file as it is now."""

    changed: int
    name: str
    path: Path

    def mark(self, *, lines: str, offset: int | None) -> Mark:
        """The mark behind what was read of it."""
        return Mark(changed=str(self.changed), id=f"{lines}:{self.name}", offset=offset)


def is_pattern(path: str) -> bool:
    """Whether it may stand for several files."""
    return "*" in path or "?" in path


def find_files(folder: Path, pattern: str) -> list[Watched]:
    """The CSV files that a pattern means, in the order in which they are read. Raises `OSError`."""
    return sorted(
        look_at(path, name=str(path.relative_to(folder)))
        for path in folder.glob(pattern)
        if path.name.lower().endswith(ENDINGS) and path.resolve().is_relative_to(folder) and path.is_file()
    )


def look_at(path: Path, *, name: str) -> Watched:
    """One file. Raises `OSError`."""
    return Watched(path.stat().st_ctime_ns, name, path)


def find_next(files: Sequence[Watched], after: Mark | None) -> tuple[Watched, Mark | None] | None:
    """The file to read now, and how far it was read already; None when nothing is new or changed."""
    if after is None or after.changed is None:
        return (files[0], None) if files else None
    lines, _, name = (after.id or "").partition(":")
    reached = (int(after.changed), name)
    for file in files:
        here = (file.changed, file.name)
        if here == reached and after.offset is not None:
            return file, Mark(id=lines, offset=after.offset)
        if here > reached:
            return file, None
    return None
