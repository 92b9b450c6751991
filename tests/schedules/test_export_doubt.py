"""What was sent and never answered, and every order in which things may go wrong: the destination ends up right."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from django.db import connection

from apps_connectors.models import App
from core.work.models import UNFINISHED, Work
from plugins.contracts import ACCEPTED, Halt, Outcome, OutcomeKind, ProfileExport, Reject, Retry
from schedules import exporting
from schedules.models import ExportRecord, RunState, Schedule
from tests.schedules.destinations import Memory, Shelf, World, adds_up, export, make_due, make_world, start, work

pytestmark = pytest.mark.django_db(transaction=True)

ALICE = {"email": "alice@example.com", "first_name": "Alice"}
BOB = {"email": "bob@example.com", "first_name": "Bob"}


class Killed(BaseException):
    """Stands for the end of the worker's process: nothing after it runs."""


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(monkeypatch)


def shelf() -> Shelf:
    return Memory.shelves["people"]


def kill() -> NoReturn:
    """The worker dies between the call and the record of its answer."""
    raise Killed


def nothing() -> None:
    """The answer arrives."""


def die_sending(schedule: Schedule) -> None:
    """A worker dies after the destination has taken its first batch."""
    shelf().after = kill
    run = start(schedule)
    with pytest.raises(Killed):
        work(run)
    shelf().after = nothing
    make_due()


def finish_run() -> None:
    """Another worker goes on with the run until its end."""
    while exporting.work_slice():
        pass
    assert not Work.objects.filter(state__in=UNFINISHED).exists()


def expected(schedule: Schedule) -> dict[str, tuple[dict[str, Any], tuple[str, ...]]]:
    """What the destination should hold, from the profiles alone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select p.properties ->> 'email', p.properties ->> 'first_name', array_agg(g.name order by g.name)"
            " from profile p join group_member m on m.profile_id = p.guid join profile_group g on g.id = m.group_id"
            " where p.merged_into is null and p.properties ? 'email' group by p.guid"
        )
        return {email: ({"email": email, "name": name}, tuple(groups)) for email, name, groups in cursor.fetchall()}


# ---------------------------------------------------------------- a worker that died


def test_what_was_sent_and_not_answered_is_sent_again(world: World) -> None:
    world.people(ALICE, BOB)
    schedule = world.export()
    die_sending(schedule)
    assert ExportRecord.objects.filter(state="sent").count() == 2
    finish_run()
    assert shelf().rows == expected(schedule)
    assert shelf().sent == 4
    run = schedule.runs.get()
    assert run.state == RunState.COMPLETE
    assert adds_up(run)
    assert run.counters["created"] == 2
    assert not ExportRecord.objects.exclude(state="held", may_hold=None).exists()


def test_a_worker_that_lost_its_lease_records_nothing(world: World) -> None:
    world.people(ALICE)
    schedule = world.export()
    run = start(schedule)

    def someone_takes_over() -> None:
        make_due()
        shelf().after = nothing
        finish_run()

    shelf().after = someone_takes_over
    work(run)
    assert shelf().sent == 2
    assert run.state == RunState.COMPLETE
    assert adds_up(run)
    assert run.counters["sent"] == 1


def test_a_create_in_doubt_is_removed_when_its_profile_leaves(world: World) -> None:
    alice, _ = world.people(ALICE, BOB)
    schedule = world.export()
    die_sending(schedule)
    Work.objects.update(stop_requested=True)
    finish_run()
    world.leave(alice, "vip")
    run = export(schedule)
    assert shelf().rows == expected(schedule)
    assert adds_up(run)
    assert run.counters["removed"] == 1


def test_an_update_in_doubt_that_is_taken_back_is_sent_all_the_same(world: World) -> None:
    (alice,) = world.people(ALICE)
    schedule = world.export()
    export(schedule)
    world.change(alice, first_name="Alicia")
    die_sending(schedule)
    assert shelf().rows["alice@example.com"][0]["name"] == "Alicia"
    Work.objects.update(stop_requested=True)
    finish_run()
    world.change(alice, first_name="Alice")
    export(schedule)
    assert shelf().rows == expected(schedule)


def test_a_removal_in_doubt_that_is_taken_back_is_sent_all_the_same(world: World) -> None:
    (alice,) = world.people(ALICE)
    schedule = world.export()
    export(schedule)
    world.leave(alice, "vip")
    die_sending(schedule)
    Work.objects.update(stop_requested=True)
    finish_run()
    world.join(alice, "vip")
    export(schedule)
    assert shelf().rows == expected(schedule)


def test_a_move_in_doubt_leaves_no_row_behind_when_the_key_changes_again(world: World) -> None:
    (alice,) = world.people(ALICE)
    schedule = world.export()
    export(schedule)
    world.change(alice, email="second@example.com")
    die_sending(schedule)
    Work.objects.update(stop_requested=True)
    finish_run()
    world.change(alice, email="third@example.com")
    export(schedule)
    assert shelf().rows == expected(schedule)
    assert ExportRecord.objects.get().may_hold is None


def test_a_key_in_doubt_may_be_taken_over_by_another_profile(world: World) -> None:
    alice, bob = world.people(ALICE, BOB)
    schedule = world.export()
    export(schedule)
    world.change(alice, email="shared@example.com")
    die_sending(schedule)
    Work.objects.update(stop_requested=True)
    finish_run()
    world.change(alice, email="alice@example.org")
    world.change(bob, email="shared@example.com")
    export(schedule)
    assert shelf().rows == expected(schedule)


def test_a_destination_that_can_be_read_settles_the_doubt(world: World) -> None:
    App.objects.filter(pk=world.app.pk).update(type="careful")
    (alice,) = world.people(ALICE, group=None)
    schedule = world.export(everyone=True)
    die_sending(schedule)
    finish_run()
    assert shelf().sent == 1
    run = schedule.runs.get()
    assert adds_up(run)
    assert run.counters["created"] == 1
    assert ExportRecord.objects.get(profile_id=alice).state == "held"


# ---------------------------------------------------------------- anything at any time


def test_whatever_happens_the_destination_ends_as_the_profiles_say(world: World) -> None:
    """Random changes, moves, swaps and mishaps; after each story the destination must equal the profiles."""
    schedule = world.export()
    for seed in range(12):
        tell_story(world, schedule, random.Random(seed))
        shelf().answer, shelf().after = (lambda item: ACCEPTED), nothing
        settle(world, schedule)
        assert shelf().rows == expected(schedule), f"story {seed}"
        assert set(ExportRecord.objects.values_list("key", flat=True)) == set(shelf().rows), f"story {seed}"
        quiet = export(schedule)
        assert not quiet.counters.get("sent"), f"story {seed}"


def settle(world: World, schedule: Schedule) -> None:
    """Mend what was broken, change what was refused so that it is tried again, and run to the end."""
    make_due()
    with connection.cursor() as cursor:
        cursor.execute(
            "update profile set properties = properties || jsonb_build_object('first_name', 'N' || random())"
            " where guid in (select profile_id from export_record where state = 'rejected')"
        )
        cursor.execute(
            "insert into profile_change (profile_id, changes, cause)"
            " select profile_id, '{}', 'test' from export_record where state = 'rejected'"
        )
    while Work.objects.filter(state__in=UNFINISHED).exists():
        make_due()
        while exporting.work_slice():
            pass
    for _ in range(3):
        make_due()
        export(schedule)


def tell_story(world: World, schedule: Schedule, dice: random.Random) -> None:
    """Thirty random things, with runs in between whose answers are random too."""
    people = world.people(*[{"first_name": str(number)} for number in range(6)], group=None)
    emails = [f"p{dice.randrange(10**6)}@example.com" for _ in range(8)]
    owners: dict[str, Any] = {}
    shelf().answer = misbehave(dice)
    for _ in range(30):
        guid, email = dice.choice(people), dice.choice(emails)
        match dice.randrange(7):
            case 0:
                world.change(guid, first_name=str(dice.random()))
            case 1 | 2:
                hand_email(world, owners, guid, email)
            case 3:
                hand_email(world, owners, guid, None)
            case 4:
                world.join(guid, dice.choice(["vip", "new"]))
            case 5:
                world.leave(guid, dice.choice(["vip", "new"]))
            case 6:
                run_badly(schedule, dice)


def hand_email(world: World, owners: dict[str, Any], guid: Any, email: str | None) -> None:
    """Give an address to a profile; whoever had it gets the one that this profile had. One address, one owner."""
    before = next((known for known, owner in owners.items() if owner == guid), None)
    previous = owners.get(email) if email else None
    if previous == guid:
        return
    if before:
        del owners[before]
    if previous is not None:
        world.change(previous, email=before)
        if before:
            owners[before] = previous
    if email:
        owners[email] = guid
    world.change(guid, email=email)


def run_badly(schedule: Schedule, dice: random.Random) -> None:
    """A run, or the rest of one, which may be cut at any call."""
    unfinished = schedule.runs.filter(state__in=["pending", "running"]).first()
    run = unfinished or start(schedule)
    shelf().after = dice.choice([nothing, nothing, cut, kill])
    if dice.random() < 0.5:
        make_due()
    if dice.random() < 0.2:
        Work.objects.filter(pk=run.work_id).update(stop_requested=True)
    try:
        work(run)
    except Killed:
        return
    assert adds_up(run), (run.state, run.counters, run.work.mark)


def cut() -> NoReturn:
    """The connection breaks before the answer arrives."""
    raise ConnectionResetError


def misbehave(dice: random.Random) -> Callable[[ProfileExport], Outcome]:
    """Any answer, now for one item, now for the whole batch, before or after some of it is written."""

    def answer(item: ProfileExport) -> Outcome:
        chance = dice.random()
        if chance < 0.05:
            raise dice.choice([Retry("down"), Retry("slow down", after=60), Reject("bad batch"), Halt("no quota")])
        if chance < 0.15:
            return Outcome(OutcomeKind.RETRY, "busy")
        if chance < 0.2:
            return Outcome(OutcomeKind.REJECT, "looks fake")
        return ACCEPTED

    return answer
