"""Export runs from the change log to the destination."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from core.accounts import project
from core.accounts.actors import SYSTEM
from core.work.models import Work
from plugins.contracts import ACCEPTED, Halt, Outcome, OutcomeKind, ProfileExport, Reject, Retry
from profiles.models import Profile
from schedules import comparing, exporting, payloads, runs, schedules_store
from schedules.exporting import collecting
from schedules.ledger import attempts, owing
from schedules.models import ExportRecord, Run, RunError, RunState
from tests.schedules.destinations import (
    Memory,
    Shelf,
    World,
    adds_up,
    export,
    make_due,
    make_world,
    start,
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


def shelf(table: str = "people") -> Shelf:
    return Memory.shelves[table]


def names(table: str = "people") -> dict[str, tuple[str, tuple[str, ...]]]:
    """Key to name and groups, as the destination holds them."""
    return {key: (payload["name"], groups) for key, (payload, groups) in shelf(table).rows.items()}


def counted(run: Run) -> dict[str, int]:
    return {name: number for name, number in run.counters.items() if number}


# ---------------------------------------------------------------- what is sent


def test_the_first_run_sends_all_members_with_their_groups(world: World) -> None:
    alice, bob = world.people(ALICE, BOB)
    world.join(bob, "new")
    world.people(CHARLIE, group=None)
    run = export(world.export())
    assert run.state == RunState.COMPLETE
    assert names() == {"alice@example.com": ("Alice", ("vip",)), "bob@example.com": ("Bob", ("new", "vip"))}
    assert counted(run) == {"selected": 2, "sent": 2, "created": 2}
    assert ExportRecord.objects.get(profile_id=alice).accepted_at is not None
    assert shelf().finished == 1


def test_a_run_that_finds_nothing_changed_sends_nothing(world: World) -> None:
    (alice,) = world.people(ALICE)
    schedule = world.export()
    export(schedule)
    shelf().calls.clear()
    assert counted(export(schedule)) == {}
    world.change(alice, last_name="Liddell")  # of no interest to this export
    run = export(schedule)
    assert counted(run) == {"selected": 1, "unchanged": 1}
    assert shelf().sent == 0
    assert shelf().finished == 1


def test_only_differences_are_sent(world: World) -> None:
    alice, _ = world.people(ALICE, BOB)
    schedule = world.export()
    export(schedule)
    shelf().calls.clear()
    world.change(alice, first_name="Alicia")
    run = export(schedule)
    assert counted(run) == {"selected": 1, "sent": 1, "updated": 1}
    ((item,),) = shelf().calls
    assert item.old == {"email": "alice@example.com", "name": "Alice"}
    assert item.new == {"email": "alice@example.com", "name": "Alicia"}
    assert names()["alice@example.com"] == ("Alicia", ("vip",))


def test_a_value_that_is_gone_is_sent_as_null(world: World) -> None:
    (alice,) = world.people(ALICE)
    schedule = world.export()
    export(schedule)
    world.change(alice, first_name=None)
    export(schedule)
    assert shelf().rows["alice@example.com"][0] == {"email": "alice@example.com", "name": None}


def test_leaving_the_last_group_removes(world: World) -> None:
    (alice,) = world.people(ALICE)
    world.join(alice, "new")
    schedule = world.export()
    export(schedule)
    world.leave(alice, "new")
    assert counted(export(schedule)) == {"selected": 1, "sent": 1, "updated": 1}
    world.leave(alice, "vip")
    assert counted(export(schedule)) == {"selected": 1, "sent": 1, "removed": 1}
    assert names() == {}
    assert not ExportRecord.objects.exists()


def test_where_the_mode_forbids_removing_the_groups_are_cleared(world: World) -> None:
    (alice,) = world.people(ALICE)
    schedule = world.export(mode="additive")
    export(schedule)
    world.change(alice, first_name="Alicia")
    world.leave(alice, "vip")
    run = export(schedule)
    assert names() == {"alice@example.com": ("Alice", ())}
    assert counted(run) == {"selected": 1, "sent": 1, "updated": 1}
    assert counted(export(schedule)) == {}


def test_enrich_only_updates_what_is_there(world: World) -> None:
    world.people(ALICE, BOB)
    schedule = world.export(mode="enrich")
    shelf().rows["bob@example.com"] = ({"email": "bob@example.com", "name": "?"}, ())
    export(schedule)
    assert names() == {"bob@example.com": ("Bob", ("vip",))}


def test_everyone_goes_where_the_schedule_says_so(world: World) -> None:
    world.people(ALICE)
    world.people(BOB, {"first_name": "Nobody"}, group=None)
    run = export(world.export(everyone=True))
    assert names() == {"alice@example.com": ("Alice", ("vip",)), "bob@example.com": ("Bob", ())}
    assert counted(run)["selected"] == 2


def test_a_changed_mapping_compares_everyone(world: World) -> None:
    world.people(ALICE, BOB)
    schedule = world.export()
    export(schedule)
    data = schedules_store.read_data(schedule)
    changed = replace(data, fields={"email": "email", "called": "first_name"})
    schedule = schedules_store.update_schedule(schedule.pk, changed, actor=SYSTEM)
    assert counted(export(schedule)) == {"selected": 2, "sent": 2, "updated": 2}
    assert shelf().rows["bob@example.com"][0] == {"email": "bob@example.com", "called": "Bob"}


def test_a_restored_database_compares_everyone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (alice,) = world.people(ALICE)
    schedule = world.export()
    export(schedule)
    schedule.cursor.cluster = "another server/1"
    schedule.cursor.mark = 2**40
    schedule.cursor.save()
    world.change(alice, first_name="Alicia")
    assert counted(export(schedule)) == {"selected": 1, "sent": 1, "updated": 1}


def test_more_than_one_step_of_everything_arrives_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "COMPARED_AT_ONCE", 7)
    people = [{"email": f"p{number}@example.com", "first_name": str(number)} for number in range(50)]
    guids = world.people(*people)
    run = export(world.export())
    assert counted(run) == {"selected": 50, "sent": 50, "created": 50}
    assert shelf().sent == 50
    assert set(names()) == {person["email"] for person in people}
    assert ExportRecord.objects.filter(profile_id__in=guids, state="held").count() == 50


def test_a_comparison_looks_at_each_profile_a_few_times_though_the_planner_knows_nothing_of_a_young_ledger(
    world: World,
) -> None:
    many = 500
    world.people(*[{"email": f"p{number}@example.com"} for number in range(many)])
    schedule = world.export()
    assert export(schedule).counters["sent"] == many
    plan = payloads.load_plan(schedule)
    with transaction.atomic(), connection.cursor() as statement:
        payloads.prepare()
        statement.execute(_READ)
        [(before,)] = statement.fetchall()
        payloads.add_everyone(plan, after=None, limit=2 * many)
        assert not comparing.find_wanted(plan)
        assert comparing.decide(plan).count("keep") == many
        owing.apply_decisions(schedule.pk, run_id=1)
        statement.execute(_READ)
        [(after,)] = statement.fetchall()
    assert many < after - before < 50 * many  # each with each would be 500


def test_recording_answers_reads_the_rows_of_the_batch_though_the_planner_knows_nothing_of_a_young_ledger(
    world: World,
) -> None:
    many, batch = 1000, 20
    world.people(*[{"email": f"p{number}@example.com"} for number in range(many)])
    schedule = world.export()
    plan = payloads.load_plan(schedule)
    with transaction.atomic():
        payloads.prepare()
        payloads.add_everyone(plan, after=None, limit=2 * many)
        comparing.find_wanted(plan)
        comparing.decide(plan)
        owing.apply_decisions(schedule.pk, run_id=1)
    attempt = uuid4()
    with transaction.atomic():
        rows = attempts.claim(schedule.pk, attempt_id=attempt, run_id=1, after=None, limit=batch)
    answers = [(row, ACCEPTED) for row in rows[:-2]]
    answers += [(rows[-2], Outcome(OutcomeKind.REJECT, "no")), (rows[-1], Outcome(OutcomeKind.RETRY, "later"))]
    with transaction.atomic(), connection.cursor() as statement:
        statement.execute(_READ_OF_LEDGER)
        [(before,)] = statement.fetchall()
        attempts.record(schedule.pk, attempt_id=attempt, answers=answers)
        statement.execute(_READ_OF_LEDGER)
        [(after,)] = statement.fetchall()
    assert batch < after - before < 5 * batch
    states = Counter(ExportRecord.objects.filter(schedule_id=schedule.pk).values_list("state", flat=True))
    assert states == {"owed": many - batch + 1, "held": batch - 2, "rejected": 1}


# How many rows this transaction has read by now, of all tables.
_READ = "select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint from pg_stat_xact_all_tables"
_READ_OF_LEDGER = f"{_READ} where relname = 'export_record'"


def test_a_profile_that_is_gone_is_removed_by_a_full_comparison(world: World) -> None:
    _, bob = world.people(ALICE, BOB)
    schedule = world.export()
    export(schedule)
    Profile.objects.filter(guid=bob).delete()
    schedule.cursor.delete()
    assert counted(export(schedule)) == {"selected": 2, "sent": 1, "unchanged": 1, "removed": 1}
    assert list(names()) == ["alice@example.com"]


def test_a_change_that_is_taken_back_before_it_was_sent_is_owed_no_more(world: World) -> None:
    (alice,) = world.people(ALICE)
    schedule = world.export()
    export(schedule)
    world.change(alice, first_name="Alicia")
    run = start(schedule)
    Memory.shelves["people"].answer = lambda item: Outcome(OutcomeKind.REJECT, "no such name")
    work(run)
    assert ExportRecord.objects.get().state == "rejected"
    shelf().answer = lambda item: ACCEPTED
    shelf().calls.clear()
    world.change(alice, first_name="Alice")
    assert counted(export(schedule)) == {"selected": 1, "unchanged": 1}
    assert shelf().sent == 0
    assert ExportRecord.objects.get().state == "held"


# ---------------------------------------------------------------- keys


def test_a_changed_key_moves_the_row(world: World) -> None:
    (alice,) = world.people(ALICE)
    schedule = world.export()
    export(schedule)
    world.change(alice, email="alice@example.org")
    assert counted(export(schedule)) == {"selected": 1, "sent": 1, "updated": 1}
    assert names() == {"alice@example.org": ("Alice", ("vip",))}


def test_two_profiles_may_change_keys(world: World) -> None:
    alice, bob = world.people(ALICE, BOB)
    schedule = world.export()
    export(schedule)
    world.change(alice, email="bob@example.com")
    world.change(bob, email="alice@example.com")
    export(schedule)
    assert names() == {"bob@example.com": ("Alice", ("vip",)), "alice@example.com": ("Bob", ("vip",))}


def test_a_key_that_another_profile_took_over_is_not_removed(world: World) -> None:
    alice, bob = world.people(ALICE, BOB)
    schedule = world.export()
    export(schedule)
    world.leave(bob, "vip")
    world.change(bob, email=None)
    world.change(alice, email="bob@example.com")
    export(schedule)
    assert names() == {"bob@example.com": ("Alice", ("vip",))}
    assert list(ExportRecord.objects.values_list("profile_id", flat=True)) == [alice]


def test_keys_move_along_a_chain(world: World) -> None:
    alice, bob, charlie = world.people(ALICE, BOB, CHARLIE)
    schedule = world.export()
    export(schedule)
    world.change(alice, email="bob@example.com")
    world.change(bob, email="charlie@example.com")
    world.change(charlie, email="dora@example.com")
    export(schedule)
    assert names() == {
        "bob@example.com": ("Alice", ("vip",)),
        "charlie@example.com": ("Bob", ("vip",)),
        "dora@example.com": ("Charlie", ("vip",)),
    }


def test_a_key_taken_over_and_given_up_again_leaves_nothing_behind(world: World) -> None:
    """Alice takes Bob's key, the destination refuses her, and she moves on: Bob's old row has to go all the same."""
    alice, bob = world.people(ALICE, BOB)
    schedule = world.export()
    export(schedule)
    world.leave(bob, "vip")
    world.change(bob, email=None)
    world.change(alice, email="bob@example.com")
    shelf().answer = lambda item: Outcome(OutcomeKind.REJECT, "not now")
    export(schedule)
    shelf().answer = lambda item: ACCEPTED
    world.change(alice, email="alice@example.org")
    export(schedule)
    assert names() == {"alice@example.org": ("Alice", ("vip",))}


def test_the_second_profile_under_one_key_is_refused_until_the_key_is_free(world: World) -> None:
    """Only a key that is not unique among profiles makes this possible."""
    alice, twin = world.people(ALICE, {**ALICE, "first_name": "Twin"})
    schedule = world.export()
    run = export(schedule)
    assert counted(run) == {"selected": 2, "sent": 1, "created": 1, "rejected": 1}
    assert RunError.objects.get().examples == [{"profile": str(twin), "key": "alice@example.com"}]
    assert names() == {"alice@example.com": ("Alice", ("vip",))}
    world.leave(alice, "vip")
    export(schedule)
    assert names() == {"alice@example.com": ("Twin", ("vip",))}


def test_a_merged_profile_gives_its_row_to_the_winner_without_a_removal(world: World) -> None:
    alice, twin = world.people(ALICE, {"first_name": "Alice"})
    schedule = world.export()
    export(schedule)
    shelf().calls.clear()
    Profile.objects.filter(guid=alice).update(merged_into=twin)
    world.change(alice)
    world.change(twin, email="alice@example.com")
    run = export(schedule)
    assert shelf().sent == 0
    assert adds_up(run)
    assert ExportRecord.objects.get().profile_id == twin


# ---------------------------------------------------------------- outcomes


def test_a_retry_waits_and_counts_as_owed(world: World) -> None:
    world.people(ALICE)
    schedule = world.export()
    shelf().answer = lambda item: Outcome(OutcomeKind.RETRY, "busy")
    run = export(schedule)
    assert run.state == RunState.COMPLETE
    assert counted(run) == {"selected": 1, "owed": 1}
    row = ExportRecord.objects.get()
    assert (row.state, row.attempts, row.error) == ("owed", 1, "busy")
    assert schedule.pk not in exporting.find_due()
    make_due()
    assert schedule.pk in exporting.find_due()
    shelf().answer = lambda item: ACCEPTED
    assert counted(export(schedule)) == {"selected": 1, "sent": 1, "created": 1}


def test_a_time_that_the_destination_asks_for_is_kept_and_costs_no_try(world: World) -> None:
    world.people(ALICE)
    schedule = world.export()
    shelf().answer = lambda item: Outcome(OutcomeKind.RETRY, "slow down", after=7200)
    export(schedule)
    row = ExportRecord.objects.get()
    assert row.sent_at is not None
    assert row.next_at is not None
    assert row.attempts == 0
    assert 7190 < (row.next_at - row.sent_at).total_seconds() < 7210


def test_tries_are_further_and_further_apart_with_a_cap(world: World) -> None:
    world.people(ALICE)
    schedule = world.export()
    shelf().answer = lambda item: Outcome(OutcomeKind.RETRY, "busy")
    waits = []
    for _ in range(12):
        export(schedule)
        row = ExportRecord.objects.get()
        assert row.sent_at is not None
        assert row.next_at is not None
        waits.append((row.next_at - row.sent_at).total_seconds())
        make_due()
    assert 7 < waits[0] < 14
    assert 14 < waits[1] < 27
    assert max(waits) < 3600 * 1.3
    assert waits[-1] > 3600 * 0.7


def test_what_is_rejected_is_not_sent_again_until_it_changes(world: World) -> None:
    alice, _ = world.people(ALICE, BOB)
    schedule = world.export()
    shelf().answer = refuse("alice@example.com", reason="looks fake")
    run = export(schedule)
    assert counted(run) == {"selected": 2, "sent": 1, "created": 1, "rejected": 1}
    error = RunError.objects.get()
    assert (error.message, error.count) == ("looks fake", 1)
    shelf().calls.clear()
    world.change(alice, last_name="Liddell")
    assert counted(export(schedule)) == {"selected": 1, "rejected": 1}
    assert shelf().sent == 0
    shelf().answer = lambda item: ACCEPTED
    world.change(alice, first_name="Alicia")
    assert counted(export(schedule)) == {"selected": 1, "sent": 1, "created": 1}


def test_a_halt_ends_the_run_and_keeps_what_is_owed(world: World) -> None:
    world.people(ALICE, BOB)
    schedule = world.export()

    def halt(item: ProfileExport) -> Outcome:
        raise Halt("The password is wrong.")

    shelf().answer = halt
    run = export(schedule)
    schedule.refresh_from_db()
    assert (run.state, run.error) == (RunState.FAILED, "The password is wrong.")
    assert schedule.halted_reason == "The password is wrong."
    assert counted(run) == {"selected": 2, "owed": 2}
    assert schedule.pk not in exporting.find_due()
    assert shelf().finished == 0
    shelf().answer = lambda item: ACCEPTED
    assert counted(export(schedule)) == {"selected": 2, "sent": 2, "created": 2}


def test_a_batch_that_is_rejected_as_a_whole_is_split(world: World) -> None:
    people = [{"email": f"p{number}@example.com", "first_name": str(number)} for number in range(12)]
    world.people(*people)
    schedule = world.export()

    def spoil(item: ProfileExport) -> Outcome:
        if item.new and item.new["name"] == "3":
            raise Reject("bad row")
        return ACCEPTED

    shelf().answer = spoil
    run = export(schedule)
    assert counted(run) == {"selected": 12, "sent": 11, "created": 11, "rejected": 1}
    assert "p3@example.com" not in names()


def test_a_destination_that_is_down_makes_the_run_wait_and_then_send_the_newest(world: World) -> None:
    alice, _ = world.people(ALICE, BOB)
    schedule = world.export()

    def fail(item: ProfileExport) -> Outcome:
        raise OSError("connection refused")

    shelf().answer = fail
    run = work(start(schedule))
    assert run.state == RunState.RUNNING
    assert adds_up(run)
    assert RunError.objects.get().count == 2
    world.change(alice, first_name="Alicia")
    shelf().answer = lambda item: ACCEPTED
    make_due()
    work(run)
    assert run.state == RunState.COMPLETE
    assert names()["alice@example.com"][0] == "Alicia"
    assert adds_up(run)


def test_a_row_on_which_the_plugin_stumbles_does_not_hold_up_the_others(world: World) -> None:
    people = [{"email": f"p{number}@example.com", "first_name": str(number)} for number in range(5)]
    world.people(*people)
    schedule = world.export()

    def stumble(item: ProfileExport) -> Outcome:
        if item.new and item.new["name"] == "3":
            raise ZeroDivisionError
        return ACCEPTED

    shelf().answer = stumble
    run = work(start(schedule), waits=3)
    assert run.state == RunState.COMPLETE
    assert counted(run)["owed"] == 1
    assert ExportRecord.objects.get(state="owed").owed_key == "p3@example.com"
    assert len(names()) == 4


def test_one_export_in_trouble_does_not_touch_another(world: World) -> None:
    world.people(ALICE, BOB)
    broken, healthy = world.export("broken"), world.export("healthy")

    def fail(item: ProfileExport) -> Outcome:
        raise Retry("down")

    shelf("broken").answer = fail
    first, second = start(broken), start(healthy)
    work(first)
    second.refresh_from_db()
    assert first.state == RunState.RUNNING
    assert second.state == RunState.COMPLETE
    assert len(names("healthy")) == 2


# ---------------------------------------------------------------- stopping


def test_a_stopped_run_keeps_what_is_owed_for_the_next(world: World) -> None:
    people = [{"email": f"p{number}@example.com", "first_name": str(number)} for number in range(12)]
    world.people(*people)
    schedule = world.export()
    run = start(schedule)
    shelf().after = lambda: runs.stop_run(run.pk, actor=SYSTEM) if len(shelf().calls) == 1 else None
    work(run)
    assert run.state == RunState.STOPPED
    assert counted(run) == {"selected": 12, "sent": 5, "created": 5, "owed": 7}
    assert counted(export(schedule)) == {"selected": 7, "sent": 7, "created": 7}


def test_nothing_leaves_while_sending_is_stopped(world: World) -> None:
    world.people(ALICE)
    schedule = world.export()
    project.update({"sending_stopped": True, "sending_stopped_reason": "an audit"}, actor=SYSTEM)
    run = export(schedule)
    assert (run.state, run.error) == (RunState.STOPPED, "Sending is stopped: an audit")
    assert shelf().sent == 0
    assert exporting.find_due() == []
    project.update({"sending_stopped": False}, actor=SYSTEM)
    assert exporting.find_due() == [schedule.pk]
    export(schedule)
    assert len(names()) == 1


def test_nothing_leaves_through_a_paused_app(world: World) -> None:
    world.people(ALICE)
    schedule = world.export()
    run = start(schedule)
    world.app.paused_at = timezone.now()
    world.app.save()
    work(run)
    assert run.state == RunState.STOPPED
    assert shelf().sent == 0


def test_an_export_without_a_key_says_so(world: World) -> None:
    schedule = world.export()
    schedule.fields.update(is_key=False)
    run = export(schedule)
    assert run.state == RunState.FAILED
    assert "no key field" in run.error


def refuse(key: str, *, reason: str) -> Callable[[ProfileExport], Outcome]:
    """An answer that rejects one key."""

    def answer(item: ProfileExport) -> Outcome:
        if item.new and item.new["email"] == key:
            return Outcome(OutcomeKind.REJECT, reason)
        return ACCEPTED

    return answer


# ---------------------------------------------------------------- when


def test_an_export_that_follows_changes_is_due_after_one(world: World) -> None:
    (alice,) = world.people(ALICE)
    follows, by_hand = world.export("follows", after_changes=True), world.export("by_hand")
    assert exporting.find_due() == [follows.pk]
    run, other = export(follows), export(by_hand)
    wait_for_horizon()
    Run.objects.filter(pk__in=[run.pk, other.pk]).update(created_at=timezone.now() - timedelta(minutes=1))
    assert exporting.find_due() == []
    world.change(alice, first_name="Alicia")
    wait_for_horizon()
    assert exporting.find_due() == [follows.pk]


def test_changes_that_come_one_by_one_go_out_together(world: World) -> None:
    (alice,) = world.people(ALICE)
    schedule = world.export(after_changes=True)
    export(schedule)
    world.change(alice, first_name="Alicia")
    wait_for_horizon()
    assert exporting.find_due() == []


def test_an_export_that_runs_is_not_due(world: World) -> None:
    world.people(ALICE)
    schedule = world.export(after_changes=True)
    start(schedule)
    assert exporting.find_due() == []


def test_a_deleted_schedule_leaves_no_ledger_and_no_work_and_other_schedules_keep_theirs(world: World) -> None:
    world.people(ALICE, BOB)
    gone, other = world.export(), world.export("other")
    export(gone)
    export(other)
    schedules_store.delete_schedule(gone.pk, actor=SYSTEM)
    assert set(ExportRecord.objects.values_list("schedule_id", flat=True)) == {other.pk}
    assert ExportRecord.objects.count() == 2
    assert set(Work.objects.filter(kind="export").values_list("run__schedule_id", flat=True)) == {other.pk}
    call_command("check_integrity", stdout=StringIO())
    assert len(shelf().rows) == 2  # what was sent stays there
