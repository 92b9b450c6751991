"""Many calls at once, but never two for one person, and none that is known to be in vain.

A lane is a list of items that touch the same person: it is worked off in order by one thread. An item that is to be
tried again holds up those behind it in its lane. When the tool can take nothing (`Down`, `Halt`, or one failure after
another), or the time of the batch is over, the remaining items are answered without a call.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from plugins.contracts import Halt, Outcome, OutcomeKind, PluginError, Reject, Retry

Lane = Sequence[int]
NO_TIME = Outcome(OutcomeKind.RETRY, "The batch ran out of time before this one; it goes out with the next.", 1.0)


class Down(Retry):
    """The tool can take nothing just now."""


class Brake:
    """What is known of the tool's state during one batch; shared by its threads.

    `most_failures` in a row are taken to mean that the tool is down; None: a failure says nothing of other items.
    """

    def __init__(self, seconds: float, *, most_failures: int | None = 5) -> None:
        self.until = time.monotonic() + seconds
        self._most_failures = most_failures
        self._lock = threading.Lock()
        self._failures = 0
        self._stopped: Outcome | None = None

    def stopped(self) -> Outcome | None:
        """The answer for everything that has not been sent yet, once there is one."""
        if self._stopped is None and time.monotonic() > self.until:
            return NO_TIME
        return self._stopped

    def stop(self, answer: Outcome) -> None:
        """Answer like this whatever has not been sent yet; the first reason stands."""
        with self._lock:
            self._stopped = self._stopped or answer

    def note(self, error: PluginError | None) -> None:
        """Learn from one call's end."""
        with self._lock:
            self._failures = self._failures + 1 if isinstance(error, Retry) else 0
            are_many = self._most_failures is not None and self._failures >= self._most_failures
        if error is not None and (isinstance(error, Down | Halt) or are_many):
            self.stop(outcome_of(error))


def outcome_of(error: PluginError) -> Outcome:
    """The outcome that an error stands for."""
    if isinstance(error, Retry):
        return Outcome(OutcomeKind.RETRY, error.reason, error.after)
    return Outcome(OutcomeKind.REJECT if isinstance(error, Reject) else OutcomeKind.HALT, error.reason)


def run_lanes(
    lanes: Sequence[Lane], work: Callable[[int], Outcome], brake: Brake, *, threads: int
) -> dict[int, Outcome]:
    """The outcome of every item of every lane, by at most so many threads. `work` may raise the contract's errors."""
    outcomes: dict[int, Outcome] = {}
    waiting = iter(lanes)  # the threads share it: each takes the next lane that nobody has
    if min(threads, len(lanes)) <= 1:
        _take_lanes(waiting, work, brake, outcomes)
        return outcomes
    with ThreadPoolExecutor(min(threads, len(lanes))) as pool:
        for done in [pool.submit(_take_lanes, waiting, work, brake, outcomes) for _ in range(min(threads, len(lanes)))]:
            done.result()
    return outcomes


def _take_lanes(
    waiting: Iterator[Lane], work: Callable[[int], Outcome], brake: Brake, outcomes: dict[int, Outcome]
) -> None:
    for lane in waiting:
        held: Outcome | None = None
        for item in lane:
            outcome = held or brake.stopped() or _try(item, work, brake)
            if outcome.kind in (OutcomeKind.RETRY, OutcomeKind.HALT):
                held = outcome
            outcomes[item] = outcome


def _try(item: int, work: Callable[[int], Outcome], brake: Brake) -> Outcome:
    try:
        outcome = work(item)
    except PluginError as error:
        brake.note(error)
        return outcome_of(error)
    brake.note(None)
    return outcome


def make_lanes(items: Sequence[tuple[int, Sequence[str]]]) -> list[list[int]]:
    """Lanes of items given with the people they touch (one at least): who shares a person shares a lane, in order."""
    parents: dict[str, str] = {}

    def find_root(person: str) -> str:
        while (parent := parents.setdefault(person, person)) != person:
            person = parent
        return person

    for _, people in items:
        for other in people[1:]:
            parents[find_root(other)] = find_root(people[0])
    lanes: dict[str, list[int]] = {}
    for item, people in items:
        lanes.setdefault(find_root(people[0]), []).append(item)
    return list(lanes.values())
