"""Sending again what a destination has, or refused; and the log of what was sent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from core.accounts.actors import SYSTEM
from core.lib.errors import InvalidInput, Refused
from plugins.contracts import ACCEPTED, Outcome, OutcomeKind, ProfileExport
from profiles.models import Profile
from schedules import again, sent_log
from schedules.again import Selection
from schedules.models import ExportRecord, Run, RunState, Schedule, SentLog
from tests.schedules.destinations import Memory, Shelf, World, adds_up, export, make_world, wait_for_horizon, work

pytestmark = pytest.mark.django_db(transaction=True)

ALICE = {"email": "alice@example.com", "first_name": "Alice"}
BOB = {"email": "bob@example.com", "first_name": "Bob"}
CHARLIE = {"email": "charlie@example.com", "first_name": "Charlie"}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(monkeypatch)


def shelf() -> Shelf:
    return Memory.shelves["people"]


def send_again(schedule: Schedule, **selection: object) -> Run:
    wait_for_horizon()
    run = work(again.start(schedule.pk, Selection(**selection), actor=SYSTEM))  # type: ignore[arg-type]
    assert run.state == RunState.COMPLETE, run.error
    assert adds_up(run)
    return run


def refuse_bob(item: ProfileExport) -> Outcome:
    is_bob = item.new is not None and item.new["name"] == "Bob"
    return Outcome(OutcomeKind.REJECT, "It does not like Bob.", reply="400 Bad Request") if is_bob else ACCEPTED


# ---------------------------------------------------------------- again


def test_named_people_are_written_as_a_whole_whatever_is_there(world: World) -> None:
    alice, _ = world.people(ALICE, BOB)
    schedule = world.export()
    export(schedule)
    shelf().rows.clear()
    shelf().calls.clear()
    run = send_again(schedule, profiles=[alice])
    ((item,),) = shelf().calls
    assert item.old is None
    assert list(shelf().rows) == ["alice@example.com"]
    assert run.counters["sent"] == 1
    assert set(ExportRecord.objects.values_list("state", flat=True)) == {"held"}
    assert export(schedule).counters.get("sent", 0) == 0


def test_what_is_sent_again_is_the_newest(world: World) -> None:
    (alice,) = world.people(ALICE)
    schedule = world.export()
    export(schedule)
    world.change(alice, first_name="Alicia")
    send_again(schedule, profiles=[alice])
    assert shelf().rows["alice@example.com"][0]["name"] == "Alicia"


def test_a_time_range_names_those_accepted_in_it(world: World) -> None:
    world.people(ALICE)
    schedule = world.export()
    export(schedule)
    between = timezone.now()
    world.people(BOB)
    export(schedule)
    shelf().calls.clear()
    assert again.count(schedule.pk, Selection(since=between)) == 1
    send_again(schedule, since=between - timedelta(hours=1), until=between)
    assert [item.profile for call in shelf().calls for item in call] == [
        str(Profile.objects.get(properties__email="alice@example.com").pk)
    ]


def test_rejected_rows_are_tried_again_when_a_person_asks_and_not_before(world: World) -> None:
    world.people(ALICE, BOB)
    schedule = world.export()
    shelf().answer = refuse_bob
    export(schedule)
    shelf().calls.clear()
    export(schedule)
    assert shelf().sent == 0
    shelf().answer = Shelf().answer
    run = send_again(schedule, rejected=True)
    assert set(shelf().rows) == {"alice@example.com", "bob@example.com"}
    assert run.counters["sent"] == 1


def test_everything_is_compared_and_sent_anew_and_told_as_a_backfill(world: World) -> None:
    world.people(ALICE, BOB)
    schedule = world.export()
    export(schedule)
    world.people(CHARLIE)
    shelf().rows.clear()
    run = send_again(schedule, everything=True)
    assert set(shelf().rows) == {"alice@example.com", "bob@example.com", "charlie@example.com"}
    assert set(shelf().backfills) == {True}
    assert run.counters["sent"] == 3


def test_only_what_is_sent_to_everyone_is_a_backfill(world: World) -> None:
    (alice,) = world.people(ALICE)
    schedule = world.export()
    shelf().answer = lambda item: Outcome(OutcomeKind.RETRY, "away")
    world.people(BOB)
    export(schedule)
    shelf().answer = Shelf().answer
    work(Run.objects.get(), waits=1)
    assert shelf().backfills == [True, True], "also when the destination was away at first"
    world.change(alice, first_name="Alicia")
    export(schedule)
    assert shelf().backfills == [True, True, False]


def test_many_people_go_in_slices_and_a_dead_worker_loses_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.people(*({"email": f"p{n}@example.com", "first_name": "P"} for n in range(12)))
    schedule = world.export()
    export(schedule)
    shelf().rows.clear()
    monkeypatch.setattr(again, "_AT_ONCE", 5)
    send_again(schedule, everything=True)
    assert len(shelf().rows) == 12


def test_a_selection_says_one_thing(world: World) -> None:
    world.people(ALICE)
    schedule = world.export()
    export(schedule)
    with pytest.raises(InvalidInput, match="Say one thing"):
        again.start(schedule.pk, Selection(), actor=SYSTEM)
    with pytest.raises(InvalidInput, match="Say one thing"):
        again.start(schedule.pk, Selection(rejected=True, everything=True), actor=SYSTEM)
    with pytest.raises(Refused, match="holds none of these people"):
        again.start(schedule.pk, Selection(rejected=True), actor=SYSTEM)


# ---------------------------------------------------------------- the log


def test_the_log_tells_what_was_sent_and_answered(world: World) -> None:
    alice, bob = world.people(ALICE, BOB)
    schedule = world.export()
    shelf().answer = refuse_bob
    run = export(schedule)
    world.change(alice, first_name="Alicia")
    export(schedule)
    world.leave(alice, "vip")
    export(schedule)
    removed, updated, created = sent_log.of_profiles([alice])
    assert (created.kind, created.before, created.after, created.outcome) == (
        "created",
        None,
        {"email": "alice@example.com", "name": "Alice"},
        "accepted",
    )
    assert (updated.kind, (updated.before or {})["name"], (updated.after or {})["name"]) == (
        "updated",
        "Alice",
        "Alicia",
    )
    assert (removed.kind, removed.after, removed.key) == ("removed", None, "alice@example.com")
    (refused,) = sent_log.of_profiles([bob])
    assert (refused.outcome, refused.text, refused.run_id) == (
        "reject",
        "It does not like Bob.\n400 Bad Request",
        run.pk,
    )


def test_a_destination_that_is_down_does_not_fill_the_log(world: World) -> None:
    world.people(ALICE, BOB)
    schedule = world.export()
    shelf().answer = lambda item: Outcome(OutcomeKind.RETRY, "away")
    export(schedule, waits=2)
    assert len(shelf().calls) == 3
    assert not SentLog.objects.exists()
    shelf().answer = Shelf().answer
    work(Run.objects.get(), waits=1)
    assert SentLog.objects.count() == 2
