"""Many single calls at once, but never two for one member, and none that is known to be in vain.

A lane is a list of items that touch the same members: it is worked off in order by one thread. An item that is to be
tried again holds up those behind it in its lane. When Mailchimp can take nothing (`Down`, `Halt`, or one failure after
another), or the time of the batch is over, the remaining items are answered without a call.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from plugins.contracts import Halt, Outcome, OutcomeKind, PluginError, Reject, Retry
from plugins.mailchimp.calling import THREADS, Down, Problem

BATCH_SECONDS = 25.0  # with one last slow call this stays below the time a worker may be silent
_MOST_FAILURES = 5  # in a row, after which Mailchimp is taken to be down

Lane = Sequence[int]
NO_TIME = Outcome(OutcomeKind.RETRY, "The batch ran out of time before this one; it goes out with the next.", 1.0)


class Brake:
    """What is known of Mailchimp's state during one batch; shared by its threads."""

    def __init__(self, seconds: float | None = None) -> None:
        self.until = time.monotonic() + (BATCH_SECONDS if seconds is None else seconds)
        self._lock = threading.Lock()
        self._failures = 0
        self._stopped: Outcome | None = None

    def stopped(self) -> Outcome | None:
        """The answer for everything that has not been sent yet, once there is one."""
        if self._stopped is None and time.monotonic() > self.until:
            return NO_TIME
        return self._stopped

    def note(self, error: PluginError | None) -> None:
        """Learn from one call's end."""
        with self._lock:
            self._failures = self._failures + 1 if isinstance(error, Retry) else 0
            if error is not None and (isinstance(error, Down | Halt) or self._failures >= _MOST_FAILURES):
                self._stopped = self._stopped or outcome_of(error)


def outcome_of(error: PluginError) -> Outcome:
    """The outcome that an error stands for."""
    if isinstance(error, Retry):
        return Outcome(OutcomeKind.RETRY, error.reason, error.after)
    return Outcome(OutcomeKind.REJECT if isinstance(error, Reject) else OutcomeKind.HALT, error.reason)


def run_lanes(lanes: Sequence[Lane], work: Callable[[int], Outcome], brake: Brake) -> dict[int, Outcome]:
    """The outcome of every item of every lane. `work` may raise `Problem` and the contract's errors."""
    if not lanes:
        return {}
    with ThreadPoolExecutor(min(THREADS, len(lanes))) as pool:
        results = list(pool.map(lambda lane: _run_lane(lane, work, brake), lanes))
    return {item: outcome for result in results for item, outcome in result.items()}


def _run_lane(lane: Lane, work: Callable[[int], Outcome], brake: Brake) -> Mapping[int, Outcome]:
    outcomes: dict[int, Outcome] = {}
    waiting: Outcome | None = None
    for item in lane:
        outcome = waiting or brake.stopped() or _try(item, work, brake)
        if outcome.kind in (OutcomeKind.RETRY, OutcomeKind.HALT):
            waiting = outcome
        outcomes[item] = outcome
    return outcomes


def _try(item: int, work: Callable[[int], Outcome], brake: Brake) -> Outcome:
    try:
        outcome = work(item)
    except Problem as problem:
        error: PluginError = problem.meaning()
    except PluginError as raised:
        error = raised
    else:
        brake.note(None)
        return outcome
    brake.note(error)
    return outcome_of(error)


def make_lanes(items: Sequence[tuple[int, Sequence[str]]]) -> list[list[int]]:
    """Lanes of items given with the members they touch (one at least): who shares a member shares a lane, in order."""
    parents: dict[str, str] = {}

    def find_root(member: str) -> str:
        while (parent := parents.setdefault(member, member)) != member:
            member = parent
        return member

    for _, members in items:
        for other in members[1:]:
            parents[find_root(other)] = find_root(members[0])
    lanes: dict[str, list[int]] = {}
    for item, members in items:
        lanes.setdefault(find_root(members[0]), []).append(item)
    return list(lanes.values())
