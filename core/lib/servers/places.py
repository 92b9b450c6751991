"""Where the embedded servers keep their data and their sockets, computed without touching the disk.

The settings, the launcher and the tests all ask here, so that an address is known before a server runs. PostgreSQL
refuses to run as root, so for root everything lies where an unprivileged account can reach it; no permission of any
folder above is ever changed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

SHARED_TEMPORARY = Path("/var/tmp")  # noqa: S108  (kept over a reboot; the folder inside is ours and is checked)
LONGEST_SOCKET_PATH = 100  # the system allows 107 bytes on Linux, 103 on macOS
SOCKET_NAME = ".s.PGSQL.5432"
DATABASE_USER = "grouparoo"
DATABASE_NAME = "grouparoo"


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one set of embedded servers; `home` names the set, `base` holds its data."""

    home: Path
    base: Path
    run: Path

    @property
    def postgres_data(self) -> Path:
        return self.base / "postgres"

    @property
    def postgres_socket_folder(self) -> Path:
        return self.run / "pg"

    @property
    def valkey_data(self) -> Path:
        return self.base / "valkey"

    @property
    def valkey_socket(self) -> Path:
        return self.run / "valkey.sock"

    @property
    def keeper_socket(self) -> Path:
        return self.run / "keeper.sock"

    @property
    def database_url(self) -> str:
        return self.database_url_of(DATABASE_NAME)

    @property
    def redis_url(self) -> str:
        return f"unix://{quote(str(self.valkey_socket))}?db=0"

    def database_url_of(self, database: str) -> str:
        """The URL of another database on the same server; libpq, SQLAlchemy and Django all read this form."""
        return f"postgresql://{DATABASE_USER}@/{database}?host={quote(str(self.postgres_socket_folder))}"


def locate(home: Path) -> Places:
    """Return the folders that belong to `home` (usually `var/`)."""
    home = home.absolute()
    short = SHARED_TEMPORARY / f"grouparoo-{os.geteuid()}-{hashlib.sha256(os.fsencode(home)).hexdigest()[:12]}"
    base = home if os.geteuid() != 0 or is_reachable_by_others(home) else short
    run = base / "run"
    if len(os.fsencode(run / "pg" / SOCKET_NAME)) > LONGEST_SOCKET_PATH:
        run = short / "run"
    return Places(home=home, base=base, run=run)


def is_reachable_by_others(folder: Path) -> bool:
    """Tell whether an account without any rights can walk down to `folder` (its missing parts will be made so)."""
    return all(bool(parent.stat().st_mode & stat.S_IXOTH) for parent in (folder, *folder.parents) if parent.exists())
