"""Beat's scheduler: Celery's own, which keeps no file, and a sign of life for whoever looks after the process."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from celery.beat import Scheduler as CeleryScheduler

STALE_SECONDS = 60.0


def sign_of_life() -> Path:
    """The file that is touched at each beat; each container and each user has one of their own."""
    return Path(tempfile.gettempdir()) / f"grouparoo-beat-{os.getuid()}"


def is_alive() -> bool:
    """Whether a beat of this user has ticked lately on this machine."""
    try:
        return time.time() - sign_of_life().stat().st_mtime < STALE_SECONDS
    except FileNotFoundError:
        return False


class Scheduler(CeleryScheduler):  # type: ignore[misc]  # Celery has no types
    """Touches the file, then sends what is due."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        sign_of_life().touch()
        return float(super().tick(*args, **kwargs))
