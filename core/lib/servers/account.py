"""The account and the folders of the embedded servers.

PostgreSQL refuses to run as root. So root hands its data folder to an account without rights, and only that folder:
no account is added and no permission of a folder that was there before is changed.
"""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UNPRIVILEGED = "nobody"


class ServerError(Exception):
    """An embedded server could not be started or stopped; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who a server runs as; `None` in both places means: as we do."""

    uid: int | None = None
    gid: int | None = None

    def as_popen(self) -> dict[str, Any]:
        """The keyword arguments that make `subprocess` start a program as this account."""
        return {} if self.uid is None else {"user": self.uid, "group": self.gid, "extra_groups": []}


def choose_account(data: Path) -> Account:
    """Return whom `data` belongs to already, or an account without rights when we are root."""
    if os.geteuid() != 0:
        return Account()
    owner = data.stat() if data.exists() else None
    if owner and owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    entry = pwd.getpwnam(UNPRIVILEGED)
    return Account(entry.pw_uid, entry.pw_gid)


def make_folder(folder: Path) -> None:
    """Create `folder` and its missing parents so that the servers' account can walk through, and nobody can write."""
    if folder.exists():
        check_folder(folder)
        return
    make_missing_parents(folder.parent)
    folder.mkdir(exist_ok=True)
    folder.chmod(0o711)


def make_missing_parents(folder: Path) -> None:
    if not folder.exists():
        make_missing_parents(folder.parent)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)


def check_folder(folder: Path) -> None:
    """Refuse a folder that another person could have prepared for us, as is possible below /var/tmp."""
    facts = folder.stat()
    if facts.st_uid != os.geteuid() or facts.st_mode & stat.S_IWOTH:
        raise ServerError(
            f"{folder} belongs to someone else or can be written by everyone. "
            f"Remove it, or set GROUPAROO_VAR to a folder of your own."
        )


def make_private_folder(folder: Path, *, account: Account) -> None:
    """Create a folder that only `account` may open."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    if account.uid is not None and account.gid is not None:
        os.chown(folder, account.uid, account.gid)
