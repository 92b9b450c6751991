"""The one import rule: a module may import from its own package or from any below it, never from above."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from core.lib.servers import PROJECT


def test_the_import_contracts_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-logo"], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
