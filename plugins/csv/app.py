"""The folder of a CSV App: what may be reached through it, and what is wrong with it in a sentence."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plugins.base import App, TestsConnection
from plugins.contracts import Halt, Retry, TestResult

_FULL = (errno.ENOSPC, errno.EDQUOT)


class CsvFolder(App, TestsConnection):
    """What source and destination share."""

    def test(self) -> TestResult:
        if not self.options.get("folder"):
            return TestResult(ok=True, message="Ready for uploads; to read or write files by name, choose a folder.")
        try:
            folder = self.folder()
        except Halt as error:
            return TestResult(ok=False, message=error.reason)
        if not os.access(folder, os.R_OK | os.X_OK):
            return TestResult(ok=False, message=f"The folder {folder} may not be read: change its permissions.")
        if not os.access(folder, os.W_OK):
            return TestResult(ok=True, message=f"The folder {folder} can be read, but not written to.")
        return TestResult(ok=True, message=f"The folder {folder} can be read and written to.")

    def folder(self) -> Path:
        """The App's folder. Raises `Halt` when there is none."""
        name = self.options.get("folder")
        if not name:
            raise Halt("The App names no folder: choose one in its options.")
        folder = Path(name).resolve()
        if not folder.is_dir():
            what = "is a file, not a folder" if folder.exists() else "does not exist"
            raise Halt(f"The folder {folder} {what}: create it or choose another one.")
        return folder

    def inside(self, name: str) -> Path:
        """The path of `name` in the folder. Raises `Halt` for one that leads out of it."""
        folder = self.folder()
        path = (folder / name).resolve()
        if not path.is_relative_to(folder):
            raise Halt(f"{name} is not inside the folder {folder} of this App.")
        return path


@contextmanager
def errors_of_files(path: Path) -> Iterator[None]:
    """Say in the contract's words what went wrong with a file."""
    try:
        yield
    except FileNotFoundError:
        raise Halt(f"There is no file {path}.") from None
    except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
        raise Halt(f"{path} cannot be used: {error.strerror}.") from None
    except OSError as error:
        reason = "there is no space left" if error.errno in _FULL else error.strerror or str(error)
        raise Retry(f"{path} cannot be used just now: {reason}.") from None
