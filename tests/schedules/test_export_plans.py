"""What a run would send, looked at before anything leaves; the guard; sending exactly a plan."""

from __future__ import annotations

import csv
from dataclasses import replace
from io import StringIO
from uuid import UUID

import pytest

from core.accounts import project
from core.accounts.actors import SYSTEM
from core.lib.errors import NotFound, Refused
from plugins.contracts import Retry
from schedules import exporting, plans, runs, schedules_store
from schedules.differences import Difference
from schedules.models import ExportRecord, Run, RunState, Schedule
from tests.schedules.destinations import (
    Memory,
    Shelf,
    World,
    adds_up,
    export,
    make_due,
    make_world,
    wait_for_horizon,
    work,
)

pytestmark = pytest.mark.django_db(transaction=True)

ALICE = {"email": "alice@example.com", "first_name": "Alice"}
BOB = {"email": "bob@example.com", "first_name": "Bob"}
CHARLIE = {"email": "charlie@example.com", "first_name": "Charlie"}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(monkeypatch)


def shelf() -> Shelf:
    return Memory.shelves["people"]


def held() -> dict[str, str]:
    return {key: payload["name"] for key, (payload, _) in shelf().rows.items()}


def look(schedule: Schedule) -> plans.Plan:
    """The plan of a dry run."""
    wait_for_horizon()
    run = work(plans.start(schedule.pk, actor=SYSTEM))
    assert run.state == RunState.COMPLETE, run.error
    assert adds_up(run)
    return plans.find(run.pk)


def crowd(world: World, count: int, name: str = "P") -> list[UUID]:
    return world.people(*({"email": f"{name}{n}@example.com".lower(), "first_name": name} for n in range(count)))


# ---------------------------------------------------------------- dry runs


def test_a_dry_run_says_what_would_be_sent_and_sends_nothing(world: World) -> None:
    alice, bob = world.people(ALICE, BOB)
    schedule = world.export()
    export(schedule)
    shelf().calls.clear()
    world.change(alice, first_name="Alicia")
    world.leave(bob, "vip")
    world.people(CHARLIE)
    plan = look(schedule)
    assert (plan.created, plan.updated, plan.removed, plan.held, plan.afterwards) == (1, 1, 1, 2, 2)
    rows = {row.key: row for row in plans.read_page(plan).rows}
    assert rows["alice@example.com"].differences == [Difference("name", "Alice", "Alicia")]
    assert rows["bob@example.com"].kind == "removed"
    assert rows["charlie@example.com"].groups_after == ("vip",)
    assert shelf().calls == []
    assert exporting.find_due() == []


def test_exactly_the_plan_is_sent_and_nothing_that_came_later(world: World) -> None:
    alice, bob = world.people(ALICE, BOB)
    schedule = world.export()
    plan = look(schedule)
    world.change(alice, first_name="Alicia")
    world.people(CHARLIE)
    world.leave(bob, "vip")
    run = work(plans.send(plan.run.pk, actor=SYSTEM))
    assert run.state == RunState.COMPLETE
    assert adds_up(run)
    assert held() == {"alice@example.com": "Alice", "bob@example.com": "Bob"}
    assert run.counters["sent"] == 2
    export(schedule)
    assert held() == {"alice@example.com": "Alicia", "charlie@example.com": "Charlie"}


def test_a_plan_is_out_of_date_once_another_run_began(world: World) -> None:
    world.people(ALICE)
    schedule = world.export()
    plan = look(schedule)
    export(schedule)
    assert held() == {"alice@example.com": "Alice"}
    assert not plans.find(plan.run.pk).is_current
    with pytest.raises(Refused, match="Another run began"):
        plans.send(plan.run.pk, actor=SYSTEM)


def test_the_next_run_sends_what_was_only_planned_as_it_is_by_then(world: World) -> None:
    (alice,) = world.people(ALICE)
    schedule = world.export()
    look(schedule)
    world.change(alice, first_name="Alicia")
    run = export(schedule)
    assert held() == {"alice@example.com": "Alicia"}
    assert run.counters["sent"] == 1


def test_what_turned_back_meanwhile_is_not_sent(world: World) -> None:
    (alice,) = world.people(ALICE)
    schedule = world.export()
    export(schedule)
    shelf().calls.clear()
    world.change(alice, first_name="Alicia")
    look(schedule)
    world.change(alice, first_name="Alice")
    export(schedule)
    assert shelf().sent == 0
    assert ExportRecord.objects.get().state == "held"


def test_a_discarded_plan_cannot_be_sent(world: World) -> None:
    world.people(ALICE)
    plan = look(world.export())
    plans.discard(plan.run.pk, actor=SYSTEM)
    assert plans.find(plan.run.pk).is_discarded
    with pytest.raises(Refused, match="discarded"):
        plans.send(plan.run.pk, actor=SYSTEM)
    assert shelf().calls == []


def test_a_second_dry_run_says_the_same(world: World) -> None:
    world.people(ALICE, BOB)
    schedule = world.export()
    first, second = look(schedule), look(schedule)
    assert [row.key for row in plans.read_page(first).rows] == [row.key for row in plans.read_page(second).rows]
    assert (second.created, second.updated, second.removed) == (2, 0, 0)
    with pytest.raises(Refused, match="Another run began"):
        plans.send(first.run.pk, actor=SYSTEM)


def test_an_export_that_follows_changes_does_not_wait_for_ever_on_a_plan(world: World) -> None:
    world.people(ALICE)
    schedule = world.export(after_changes=True)
    plan = look(schedule)
    assert exporting.find_due() == []
    Run.objects.filter(pk=plan.run.pk).update(
        finished_at="2026-01-01T00:00:00Z", created_at="2026-01-01T00:00:00Z", started_at="2026-01-01T00:00:00Z"
    )
    assert exporting.find_due() == [schedule.pk]


def test_a_plan_waits_for_a_destination_that_is_down_and_stays_what_it_was(world: World) -> None:
    (alice, _) = world.people(ALICE, BOB)
    schedule = world.export()
    plan = look(schedule)

    def fail(item: object) -> None:
        raise Retry("away")

    shelf().answer = fail  # type: ignore[assignment]
    run = plans.send(plan.run.pk, actor=SYSTEM)
    exporting.work_slice()
    world.change(alice, first_name="Alicia")
    shelf().answer = Shelf().answer
    make_due()
    run = work(run)
    assert held() == {"alice@example.com": "Alice", "bob@example.com": "Bob"}
    assert run.counters["sent"] == 2


def test_rows_are_found_by_kind_and_by_any_value(world: World) -> None:
    world.people(ALICE, BOB, {"email": "50%_off@example.com", "first_name": "Percent"})
    plan = look(world.export())
    assert [row.key for row in plans.read_page(plan, search="ALIC").rows] == ["alice@example.com"]
    assert [row.key for row in plans.read_page(plan, search="50%_").rows] == ["50%_off@example.com"]
    assert plans.read_page(plan, kind="removed").rows == []
    first = plans.read_page(plan, limit=2).rows
    assert len(plans.read_page(plan, after=first[-1].profile_id, limit=2).rows) == 1


def test_rows_are_looked_for_in_so_many_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.people(ALICE, BOB, CHARLIE)
    plan = look(world.export())
    monkeypatch.setattr(plans, "LOOKED_AT", 2)
    first = plans.read_page(plan, search="charlie")
    assert (first.rows, first.is_cut) == ([], True)
    second = plans.read_page(plan, search="charlie", after=first.following)
    assert [row.key for row in second.rows] == ["charlie@example.com"]
    assert (second.following, second.is_cut) == (None, False)
    assert len(plans.read_page(plan).rows) == 3
    assert len(list(plans.stream_csv(plan, kind="created"))) == 4


def test_a_plan_is_downloaded_as_a_csv_without_formulas(world: World) -> None:
    world.people(ALICE, {"email": "eve@example.com", "first_name": "=1+1"})
    plan = look(world.export())
    rows = list(csv.DictReader(StringIO("".join(plans.stream_csv(plan)))))
    assert [(row["action"], row["key"], row["name (then)"]) for row in rows] == [
        ("created", "alice@example.com", "Alice"),
        ("created", "eve@example.com", "'=1+1"),
    ]


def test_a_dry_run_works_while_all_sending_is_stopped(world: World) -> None:
    world.people(ALICE)
    schedule = world.export()
    project.update({"sending_stopped": True}, actor=SYSTEM)
    plan = look(schedule)
    assert plan.created == 1
    run = work(plans.send(plan.run.pk, actor=SYSTEM))
    assert run.state == RunState.STOPPED
    assert shelf().calls == []


def test_a_run_without_a_plan_says_so(world: World) -> None:
    world.people(ALICE)
    run = export(world.export())
    with pytest.raises(NotFound, match="has no plan"):
        plans.find(run.pk)


# ---------------------------------------------------------------- the guard


@pytest.fixture
def low_guard() -> None:
    project.update({"guard_minimum": 3, "guard_share": 0.2}, actor=SYSTEM)


def test_the_guard_stops_a_run_that_would_remove_too_many(world: World, low_guard: None) -> None:
    people = crowd(world, 10)
    schedule = world.export(after_changes=True)
    export(schedule)
    for each in people[:4]:
        world.leave(each, "vip")
    run = export(schedule)
    assert run.state == RunState.STOPPED
    assert "40\u00a0% would be removed, and 20\u00a0% is allowed" in run.error
    assert len(held()) == 10
    schedule.refresh_from_db()
    assert schedule.halted_reason == run.error
    assert exporting.find_due() == []
    plan = plans.find(run.pk)
    assert (plan.removed, plan.held, plan.is_current) == (4, 10, True)
    assert len(plans.read_page(plan, kind="removed").rows) == 4


def test_a_person_may_send_what_the_guard_stopped(world: World, low_guard: None) -> None:
    people = crowd(world, 10)
    schedule = world.export()
    export(schedule)
    for each in people[:4]:
        world.leave(each, "vip")
    stopped = export(schedule)
    run = work(plans.send(stopped.pk, actor=SYSTEM))
    assert run.state == RunState.COMPLETE
    assert len(held()) == 6
    schedule.refresh_from_db()
    assert schedule.halted_reason == ""


def test_whoever_resumes_without_deciding_is_asked_again(world: World, low_guard: None) -> None:
    people = crowd(world, 10)
    schedule = world.export()
    export(schedule)
    for each in people[:4]:
        world.leave(each, "vip")
    export(schedule)
    schedules_store.resume(schedule.pk, actor=SYSTEM)
    assert export(schedule).state == RunState.STOPPED
    schedules_store.resume(schedule.pk, actor=SYSTEM)
    for each in people[:4]:
        world.join(each, "vip")
    assert export(schedule).state == RunState.COMPLETE
    assert len(held()) == 10


def test_changes_count_for_the_guard_and_new_people_do_not(world: World, low_guard: None) -> None:
    people = crowd(world, 10)
    schedule = world.export()
    export(schedule)
    crowd(world, 10, "Q")
    assert export(schedule).state == RunState.COMPLETE
    for each in people[:5]:
        world.change(each, first_name="Other")
    run = export(schedule)
    assert "25\u00a0% would be changed" in run.error


def test_a_share_that_is_just_allowed_goes(world: World, low_guard: None) -> None:
    people = crowd(world, 20)
    schedule = world.export()
    export(schedule)
    for each in people[:4]:
        world.leave(each, "vip")
    assert export(schedule).state == RunState.COMPLETE
    assert len(held()) == 16


def test_a_schedule_may_have_its_own_share_or_never_ask(world: World, low_guard: None) -> None:
    people = crowd(world, 10)
    schedule = world.export(guard_share=1.0)
    export(schedule)
    for each in people[:8]:
        world.leave(each, "vip")
    assert export(schedule).state == RunState.COMPLETE
    data = replace(schedules_store.read_data(schedule), guard_share=0.0)
    schedules_store.update_schedule(schedule.pk, data, actor=SYSTEM)
    for each in people[8:]:
        world.change(each, first_name="Other")
    assert export(schedule).state == RunState.COMPLETE  # two are below the minimum
    project.update({"guard_minimum": 1}, actor=SYSTEM)
    world.change(people[9], first_name="Third")
    assert export(schedule).state == RunState.STOPPED


def test_a_worker_that_dies_before_the_guard_decides_decides_again(world: World, low_guard: None) -> None:
    people = crowd(world, 10)
    schedule = world.export()
    export(schedule)
    for each in people[:4]:
        world.leave(each, "vip")
    wait_for_horizon()
    run = runs.start_run(schedule.pk, trigger="person:1", actor=SYSTEM)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(plans, "finish", lambda *args, **more: (_ for _ in ()).throw(RuntimeError("killed")))
        exporting.work_slice()
    run.refresh_from_db()
    assert run.state == RunState.RUNNING
    assert not ExportRecord.objects.filter(state="planned").exists()
    make_due()
    assert work(run).state == RunState.STOPPED
    assert len(held()) == 10
