"""Workers are killed at every step of an erasure: nothing is left out, nothing is done by two."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command

from core.work import leases
from core.work.leases import LostLease
from plugins.contracts import ACCEPTED, Outcome, OutcomeKind, ProfileExport
from schedules import exporting
from schedules.erasing import deleting, erasures, steps
from schedules.models import ExportRecord
from tests.everywhere import find_everywhere
from tests.schedules.destinations import Shelf, export, make_due
from tests.schedules.erasing.world import ALICE, BOB, TRACES, World, finish, send, shelf, work
from tests.waiting import wait_until


class Killed(BaseException):
    """Ends a worker where it stands, as kill -9 does: what its transaction wrote is gone."""


def kill(*_: object, **__: object) -> None:
    raise Killed


def work_until_killed() -> None:
    """Let workers work until one of them is killed."""

    def is_killed() -> bool:
        make_due()
        try:
            work()
        except Killed:
            return True
        return False

    wait_until(is_killed, what="the worker is killed")


def reject_removals(item: ProfileExport) -> Outcome:
    return Outcome(OutcomeKind.REJECT, "Not now.") if item.new is None else ACCEPTED


def test_a_worker_that_dies_behind_every_transaction_is_followed_by_another(world: World) -> None:
    """Each transaction is done by a worker of its own; the one before is not dead but slow, and writes nothing more."""
    schedule = world.export()
    send(*({"email": ALICE, "n": n} for n in range(3)))
    erasure = world.erase()
    refused = 0

    def is_over() -> bool:
        nonlocal refused
        make_due()
        slow = leases.claim(erasures.KIND)
        make_due()
        quick = leases.claim(erasures.KIND)
        if slow is not None and quick is not None:
            with pytest.raises(LostLease):
                steps.work_on(slow)
            refused += 1
            steps.work_on(quick)
        while exporting.work_slice():
            pass
        erasure.refresh_from_db()
        return erasure.finished_at is not None

    wait_until(is_over, what="the erasure is over", within=30)
    assert refused >= len(steps.STEPS) - 1
    assert set(erasure.steps) == set(steps.STEPS)
    assert erasure.counts["events"] == 4
    assert (find_everywhere(TRACES), set(shelf(schedule).rows)) == ({}, {BOB})
    call_command("check_integrity", stdout=StringIO())


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (erasures, "note_step"),
        (erasures, "add_counts"),
        (erasures, "finish"),
        (deleting, "delete_profiles"),
        (deleting, "untell_runs"),
    ],
)
def test_a_worker_that_dies_inside_a_transaction_has_done_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> None:
    schedule = world.export()
    erasure = world.erase()
    with monkeypatch.context() as patched:
        patched.setattr(module, name, kill)
        work_until_killed()
    finish(erasure)
    assert (find_everywhere(TRACES), set(shelf(schedule).rows)) == ({}, {BOB})
    assert set(erasure.steps) == set(steps.STEPS)
    assert erasure.counts["profiles"] == 1


def test_a_worker_that_dies_between_the_call_and_its_answer_asks_again(world: World) -> None:
    schedule = world.export()
    erasure = world.erase()
    shelf(schedule).after = kill
    work_until_killed()
    assert ExportRecord.objects.get(profile_id=world.alice).state == "sent"
    shelf(schedule).after = lambda: None
    removals = [item for call in shelf(schedule).calls for item in call if item.new is None]
    finish(erasure)
    again = [item for call in shelf(schedule).calls for item in call if item.new is None]
    assert len(again) > len(removals)
    assert set(shelf(schedule).rows) == {BOB}
    assert find_everywhere(TRACES) == {}


def test_no_other_run_sends_the_person_while_the_removal_is_owed(world: World) -> None:
    """The export runs for others all the while; the person is in its groups still."""
    schedule = world.export()
    shelf(schedule).answer = reject_removals
    erasure = world.erase()
    for number in range(3):
        make_due()
        work()
        world.base.change(world.bob, first_name=f"Bob {number}")
        world.base.change(world.alice, first_name=f"Alice {number}")
        export(schedule)
    record = ExportRecord.objects.get(profile_id=world.alice)
    assert (record.state, record.error) == ("erasing", "Not now.")
    sent = [item for call in shelf(schedule).calls for item in call if item.profile == str(world.alice)]
    assert [item.new is None for item in sent[:2]] == [False, True]
    assert all(item.new is None for item in sent[1:])
    assert shelf(schedule).rows[BOB][0]["name"] == "Bob 2"
    shelf(schedule).answer = Shelf().answer
    finish(erasure)
    assert set(shelf(schedule).rows) == {BOB}
