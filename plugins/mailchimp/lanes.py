"""Many single calls at once, as `plugins/lanes.py` makes them; a lane holds items that touch the same members."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from plugins import lanes
from plugins.contracts import Outcome
from plugins.lanes import Lane
from plugins.mailchimp.calling import THREADS, Problem

BATCH_SECONDS = 25.0  # with one last slow call this stays below the time a worker may be silent


class Brake(lanes.Brake):
    """What is known of Mailchimp's state during one batch."""

    def __init__(self, seconds: float | None = None) -> None:
        super().__init__(BATCH_SECONDS if seconds is None else seconds)


def run_lanes(listed: Sequence[Lane], work: Callable[[int], Outcome], brake: Brake) -> dict[int, Outcome]:
    """The outcome of every item of every lane. `work` may raise `Problem` and the contract's errors."""

    def call(item: int) -> Outcome:
        try:
            return work(item)
        except Problem as problem:
            meaning = problem.meaning()
        raise meaning

    return lanes.run_lanes(listed, call, brake, threads=THREADS)
