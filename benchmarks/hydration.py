"""placeholder, replaced below"""

from __future__ import annotations

from benchmarks.harness import Report


def run(profiles: int) -> Report:
    raise NotImplementedError
