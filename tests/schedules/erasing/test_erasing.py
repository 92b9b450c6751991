"""A person is erased: nothing of them is left, every destination has answered, and a proof stays."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from apps_connectors import apps_store
from core.accounts import project
from core.accounts.actors import SYSTEM
from core.lib.errors import InvalidInput, Refused
from core.ui.wording import NBSP
from events.inbox import accept
from pipeline import merging
from plugins.contracts import ACCEPTED, Outcome, OutcomeKind, ProfileExport, Retry, SyncMode
from profiles import suppression
from profiles.models import Profile, ProfileIdentity, ProfilePropertyRule
from schedules import schedules_store
from schedules.erasing import erasures
from schedules.erasing.models import Erasure, ErasureDestination
from schedules.models import Run
from tests.everywhere import find_everywhere
from tests.schedules.destinations import Memory, make_due
from tests.schedules.erasing.world import ALICE, BOB, TRACES, World, finish, person, send, shelf, work


def test_nothing_of_the_person_is_left_anywhere(world: World) -> None:
    schedule = world.export()
    assert set(shelf(schedule).rows) == {ALICE, BOB}
    assert find_everywhere(TRACES)
    erasure = finish(world.erase())
    assert set(shelf(schedule).rows) == {BOB}
    assert find_everywhere([*TRACES, str(world.alice)]) == {}
    call_command("check_integrity", stdout=StringIO())
    assert [each.state for each in erasure.destinations.all()] == ["removed"]
    assert erasure.counts["events"] == 1


def test_a_destination_that_is_down_is_asked_until_it_has_removed(world: World) -> None:
    schedule = world.export()

    def is_down(item: ProfileExport) -> Outcome:
        raise Retry(f"No answer for {ALICE}.")

    shelf(schedule).answer = is_down
    erasure = world.erase()
    for _ in range(3):
        make_due()
        work()
    [destination] = erasure.destinations.all()
    assert (destination.state, destination.problem) == ("retrying", f"No answer for {ALICE}.")
    assert Profile.objects.filter(pk=world.alice).exists(), "nothing is deleted before every destination has answered"
    assert ALICE in shelf(schedule).rows
    shelf(schedule).answer = lambda item: ACCEPTED
    ErasureDestination.objects.update(next_at=None)
    finish(erasure)
    [destination] = erasure.destinations.all()
    assert (destination.state, destination.problem) == ("removed", "")
    assert find_everywhere(TRACES) == {}


@pytest.mark.parametrize("mode", ["additive", "enrich"])
def test_a_person_is_removed_though_the_export_never_removes(world: World, mode: str) -> None:
    schedule = world.export(mode=mode)
    shelf(schedule).rows.update({ALICE: ({"email": ALICE}, ()), BOB: ({"email": BOB}, ())})
    finish(world.erase())
    assert set(shelf(schedule).rows) == {BOB}


def test_no_guard_stops_it_and_a_plan_of_others_stays(world: World) -> None:
    schedule = world.export(guard_share=0.0)
    finish(world.erase())
    assert set(shelf(schedule).rows) == {BOB}
    assert [run.options for run in Run.objects.filter(trigger="erasure")] == [{"erase": Erasure.objects.get().pk}]


def test_it_waits_while_all_sending_is_stopped_or_the_app_is_paused(world: World) -> None:
    schedule = world.export()
    project.update({"sending_stopped": True}, actor=SYSTEM)
    project.forget()
    erasure = world.erase()
    work()
    assert erasure.destinations.get().problem.startswith("Sending is stopped")
    project.update({"sending_stopped": False}, actor=SYSTEM)
    project.forget()
    apps_store.set_paused(world.base.app.pk, True, actor=SYSTEM)
    make_due()
    work()
    assert "is paused" in erasure.destinations.get().problem
    assert ALICE in shelf(schedule).rows
    apps_store.set_paused(world.base.app.pk, False, actor=SYSTEM)
    finish(erasure)
    assert set(shelf(schedule).rows) == {BOB}


def test_what_a_destination_rejects_a_person_removes_by_hand_with_a_reason(world: World) -> None:
    schedule = world.export()
    shelf(schedule).answer = lambda item: Outcome(OutcomeKind.REJECT, f"{ALICE} is on a legal hold.")
    erasure = world.erase()
    for _ in range(3):
        make_due()
        work()
    destination = erasure.destinations.get()
    assert "legal hold" in destination.problem
    with pytest.raises(InvalidInput, match="may not name"):
        erasures.mark_by_hand(erasure.pk, destination.pk, reason=f"Deleted {ALICE} there.", actor=SYSTEM)
    erasures.mark_by_hand(erasure.pk, destination.pk, reason="Deleted in their console.", actor=SYSTEM)
    finish(erasure)
    destination.refresh_from_db()
    assert (destination.state, destination.reason) == ("by_hand", "Deleted in their console.")
    assert find_everywhere(TRACES) == {}
    with pytest.raises(Refused):
        erasures.mark_by_hand(erasure.pk, destination.pk, reason="Once more.", actor=SYSTEM)


def test_an_export_that_is_deleted_meanwhile_needs_a_person(world: World) -> None:
    schedule = world.export()
    apps_store.set_paused(world.base.app.pk, True, actor=SYSTEM)
    erasure = world.erase()
    work()
    schedules_store.delete_schedule(schedule.pk, actor=SYSTEM)
    make_due()
    work()
    assert erasure.destinations.get().state == "cannot"
    assert erasure.finished_at is None


def test_an_app_that_cannot_remove_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.export()
    monkeypatch.setattr(Memory, "sync_modes", frozenset({SyncMode.ADDITIVE}))
    erasure = world.erase()
    work()
    assert "cannot remove" in erasure.destinations.get().problem


def test_whoever_became_part_of_the_person_is_erased_too(world: World) -> None:
    send({"email": "al@example.com", "first_name": "Wonderly"})
    other = person("al@example.com")
    merging.merge(world.alice, other, actor=SYSTEM)
    schedule = world.export()
    finish(world.erase())
    assert find_everywhere([*TRACES, "al@example.com", "Wonderly"]) == {}
    assert not Profile.objects.filter(pk__in=[world.alice, other]).exists()
    assert send({"email": "al@example.com"})[0].is_erased
    assert set(shelf(schedule).rows) == {BOB}
    call_command("check_integrity", stdout=StringIO())


def test_events_that_arrive_meanwhile_leave_nothing(world: World) -> None:
    schedule = world.export()
    waiting = [{"email": ALICE, "first_name": "Liddell-Wonder", "n": n} for n in range(20)]
    accept(waiting, source_kind="api_key", source_id=1)  # at the door already, and not processed
    erasure = world.erase()
    assert {fate.reason for fate in accept(waiting, source_kind="api_key", source_id=2)} == {suppression.ERASED}
    finish(erasure)
    assert find_everywhere(TRACES) == {}
    assert set(shelf(schedule).rows) == {BOB}
    call_command("check_integrity", stdout=StringIO())


def test_whom_a_restored_backup_brings_back_is_erased_again(world: World) -> None:
    finish(world.erase())
    with connection.cursor() as cursor:  # a row of the backup, as COPY puts it there
        cursor.execute("insert into profile select %s, '{}', '{}', null, null, now(), now()", [world.alice])
    rule = ProfilePropertyRule.objects.get(key="email")
    ProfileIdentity.objects.create(rule=rule, value=ALICE, profile_id=world.alice)
    Profile.objects.filter(pk=world.alice).update(properties={"email": ALICE})
    said = StringIO()
    call_command("erase_again", stdout=said)
    assert said.getvalue().replace(NBSP, " ") == "1 person is being erased again.\n"
    finish(Erasure.objects.latest("pk"))
    assert find_everywhere(TRACES) == {}
    call_command("erase_again", stdout=said)
    assert Erasure.objects.count() == 2
