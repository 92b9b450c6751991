"""Lanes: many calls at once, in order for each person, and none in vain."""

from __future__ import annotations

import threading

from plugins.contracts import ACCEPTED, Halt, Outcome, OutcomeKind, Retry
from plugins.lanes import NO_TIME, Brake, Down, make_lanes, run_lanes

SECONDS = 30.0


def test_who_shares_a_person_shares_a_lane_in_order() -> None:
    items = [(0, ["a"]), (1, ["b"]), (2, ["a", "c"]), (3, ["d"]), (4, ["c"]), (5, ["b", "d"])]
    assert make_lanes(items) == [[0, 2, 4], [1, 3, 5]]
    assert make_lanes([]) == []


def test_lanes_run_at_once_and_each_in_its_order() -> None:
    both = threading.Barrier(2, timeout=10)
    done: list[int] = []

    def work(item: int) -> Outcome:
        if item in (0, 2):
            both.wait()  # passes only when another lane is at it too
        done.append(item)
        return ACCEPTED

    outcomes = run_lanes([[0, 1], [2, 3]], work, Brake(SECONDS), threads=2)
    assert outcomes == dict.fromkeys(range(4), ACCEPTED)
    assert done.index(0) < done.index(1)
    assert done.index(2) < done.index(3)


def test_one_thread_needs_no_other() -> None:
    threads = set()

    def work(item: int) -> Outcome:
        threads.add(threading.get_ident())
        return ACCEPTED

    assert len(run_lanes([[0], [1], [2]], work, Brake(SECONDS), threads=1)) == 3
    assert threads == {threading.get_ident()}
    assert run_lanes([], work, Brake(SECONDS), threads=4) == {}


def test_a_retry_holds_up_its_own_lane_alone() -> None:
    asked: list[int] = []

    def work(item: int) -> Outcome:
        asked.append(item)
        if item == 0:
            raise Retry("Not now.", after=3)
        return ACCEPTED

    outcomes = run_lanes([[0, 1], [2]], work, Brake(SECONDS), threads=1)
    assert [outcomes[item].kind for item in range(3)] == [OutcomeKind.RETRY, OutcomeKind.RETRY, OutcomeKind.ACCEPTED]
    assert outcomes[1].after == 3
    assert asked == [0, 2]


def test_down_halt_and_failures_in_a_row_stop_everyone() -> None:
    for error, most, calls in (
        (Down("No."), None, 1),
        (Halt("No."), None, 1),
        (Retry("No."), 2, 2),
        (Retry("No."), None, 4),
    ):
        asked: list[int] = []

        def work(item: int, asked: list[int] = asked, error: Exception = error) -> Outcome:
            asked.append(item)
            raise error

        run_lanes([[0], [1], [2], [3]], work, Brake(SECONDS, most_failures=most), threads=1)
        assert len(asked) == calls, error


def test_the_first_reason_to_stop_stands_and_time_ends_a_batch() -> None:
    brake = Brake(SECONDS)
    assert brake.stopped() is None
    first = Outcome(OutcomeKind.RETRY, "first", 9)
    brake.stop(first)
    brake.stop(Outcome(OutcomeKind.HALT, "second"))
    assert brake.stopped() == first
    assert Brake(-1.0).stopped() == NO_TIME
