"""Runs: counting, errors, progress."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.accounts.actors import SYSTEM
from core.lib.errors import NotFound, Refused
from core.work.models import Work, WorkState
from schedules import runs
from schedules.models import Run, RunState
from schedules.progress import progress_of
from schedules.runs import FoundError
from tests.schedules.shop import NOON, Shop, finish, import_all, make_rules, start, users_schedule


@pytest.fixture
def run(shop: Shop) -> Run:
    """A run that waits."""
    make_rules()
    return start(users_schedule(shop.app()))


def test_counters_add_up_and_notes_are_kept_once(run: Run) -> None:
    runs.count(run.pk, {"read": 3, "events": 2}, notes=["Read as Latin-1."])
    runs.count(run.pk, {"read": 4, "created": 1}, notes=["Read as Latin-1.", "Another."])
    runs.count(run.pk, {})
    run.refresh_from_db()
    assert run.counters == {"read": 7, "events": 2, "created": 1}
    assert run.notes == ["Read as Latin-1.", "Another."]


def test_the_same_error_is_one_row_with_its_count_and_the_first_five_examples(run: Run) -> None:
    for first in (1, 4):
        found = [("not an email address", {"row": number}) for number in range(first, first + 3)]
        runs.record_errors(run.pk, runs.group_errors([*found, ("too short", {"row": first})]))
    errors = {
        error.message: (error.count, [example["row"] for example in error.examples]) for error in run.errors.all()
    }
    assert errors == {"not an email address": (6, [1, 2, 3, 4, 5]), "too short": (2, [1, 4])}


def test_a_flood_of_different_messages_does_not_flood_the_run(run: Run) -> None:
    runs.record_errors(run.pk, [FoundError(f"odd value {number}", 1, [{"row": number}]) for number in range(90)])
    runs.record_errors(run.pk, [FoundError(f"odd value {number}", 1) for number in range(80, 200)])
    assert run.errors.count() == runs.MOST_MESSAGES + 1
    assert run.errors.get(message=runs.OTHER_MESSAGES).count == 100
    assert sum(error.count for error in run.errors.all()) == 210


def test_only_what_failed_or_was_stopped_can_be_retried(shop: Shop, run: Run) -> None:
    with pytest.raises(Refused, match="only failed or stopped"):
        runs.retry_run(run.pk, actor=SYSTEM)
    finish(run)
    with pytest.raises(Refused, match="is complete"):
        runs.retry_run(run.pk, actor=SYSTEM)
    with pytest.raises(NotFound):
        runs.retry_run(run.pk + 1000, actor=SYSTEM)


def test_a_run_and_its_work_end_together(shop: Shop, run: Run) -> None:
    shop.add_users(3)
    run = finish(run)
    assert (run.state, run.work.state) == (RunState.COMPLETE, WorkState.COMPLETE)
    assert run.started_at is not None
    assert run.finished_at is not None
    assert not Work.objects.exclude(state=WorkState.COMPLETE).exists()


def progress(done: int, total: int | None, **more: Any) -> Any:
    run = Run(state=RunState.RUNNING, started_at=NOON, work=Work(done=done, total=total))
    for name, value in more.items():
        setattr(run, name, value)
    return progress_of(run, now=NOON + timedelta(seconds=10))


def test_progress_is_a_percentage_a_rate_and_the_time_left() -> None:
    told = progress(250, 1000)
    assert (told.percent, told.rate, told.seconds_left) == (25, 25.0, 30)


def test_only_a_complete_run_is_at_a_hundred_percent() -> None:
    assert progress(1000, 1000).percent == 99
    assert progress(1200, 1000).percent == 99
    assert progress(3, 1000, state=RunState.COMPLETE).percent == 100
    assert progress(0, 0, state=RunState.RUNNING).percent is None


def test_without_a_total_there_is_a_rate_but_no_percentage() -> None:
    told = progress(100, None)
    assert (told.percent, told.rate, told.seconds_left) == (None, 10.0, None)


def test_a_finished_run_has_no_time_left() -> None:
    told = progress(100, 1000, state=RunState.STOPPED, finished_at=NOON + timedelta(seconds=5))
    assert (told.percent, told.rate, told.seconds_left) == (10, 20.0, None)


def test_percent_grows_to_the_end(shop: Shop) -> None:
    make_rules()
    schedule = users_schedule(shop.app())
    shop.add_users(7)
    run = import_all(schedule)
    assert progress_of(run, now=NOON).percent == 100
    assert (run.work.done, run.work.total) == (7, 7)
