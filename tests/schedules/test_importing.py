"""Import runs, page after page, from a real PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from core.accounts.actors import SYSTEM
from core.lib.errors import Refused
from core.work import leases
from core.work.leases import LostLease
from core.work.models import Work
from events.models import Event
from profiles.models import Profile
from profiles.rules import NewRule, create_rule
from schedules import importing, runs, tasks
from schedules.models import Run, RunState, Schedule
from tests.schedules.shop import (
    NOON,
    Shop,
    Worker,
    counters,
    finish,
    import_all,
    let_leases_run_out,
    make_rules,
    names,
    start,
    users_schedule,
)

COUNTS = ("read", "events", "unchanged", "created", "rejected")


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "PAGE_SIZE", 10)


@pytest.fixture
def users(shop: Shop) -> Schedule:
    """The schedule that reads the shop's users."""
    make_rules()
    return users_schedule(shop.app())


# ---------------------------------------------------------------- what a run takes


def test_the_first_run_takes_every_row_and_its_counts_add_up(shop: Shop, users: Schedule) -> None:
    shop.add_users(25)
    run = import_all(users)
    assert counters(run, *COUNTS) == [25, 25, 0, 25, 0]
    assert names() == list(range(1, 26))
    assert Event.objects.filter(source_kind="run", source_id=run.pk).count() == 25
    assert (run.work.done, run.work.total, run.work.state) == (25, 25, "complete")


def test_an_empty_table_gives_a_complete_run(users: Schedule) -> None:
    assert counters(import_all(users), *COUNTS) == [0, 0, 0, 0, 0]


def test_rows_changed_at_the_same_time_neither_loop_nor_get_lost(shop: Shop, users: Schedule) -> None:
    shop.add_users(35, apart=0)
    assert counters(import_all(users), *COUNTS) == [35, 35, 0, 35, 0]
    shop.add_users(3, first=36, apart=0)
    assert counters(import_all(users), *COUNTS) == [38, 3, 35, 3, 0]
    assert names() == list(range(1, 39))


def test_a_second_run_reads_the_lookback_again_and_makes_no_event_of_it(shop: Shop, users: Schedule) -> None:
    shop.add_users(40, apart=60)
    import_all(users)
    run = import_all(users)
    assert counters(run, "events", "changed") == [0, 0]
    assert 10 <= run.counters["read"] <= 12
    assert run.counters["read"] == run.counters["unchanged"]


def test_a_row_committed_after_a_later_one_is_not_lost(shop: Shop, users: Schedule) -> None:
    shop.add_users(5, at=NOON)
    import_all(users)
    shop.add_users(1, first=90, at=NOON - timedelta(minutes=9))
    run = import_all(users)
    assert counters(run, "events", "created") == [1, 1]
    assert names()[-1] == 90


def test_the_lookback_of_a_schedule_may_be_longer(shop: Shop) -> None:
    make_rules()
    schedule = users_schedule(shop.app(), options={"lookback": 7200})
    shop.add_users(5, at=NOON)
    import_all(schedule)
    shop.add_users(1, first=90, at=NOON - timedelta(minutes=100))
    assert import_all(schedule).counters["created"] == 1


def test_a_row_from_the_future_does_not_hide_those_that_come_after_it(shop: Shop, users: Schedule) -> None:
    shop.add_users(1, at=timezone.now() + timedelta(days=3650))
    import_all(users)
    shop.add_users(1, first=2, at=timezone.now())
    assert import_all(users).counters["created"] == 1
    assert names() == [1, 2]


def test_a_changed_row_changes_its_profile_and_no_other(shop: Shop, users: Schedule) -> None:
    shop.add_users(12)
    import_all(users)
    shop.run("update users set first_name = 'Bob', changed_at = %s where id = 7", NOON + timedelta(hours=1))
    run = import_all(users)
    assert counters(run, "events", "created", "changed") == [1, 0, 1]
    assert names("first_name").count("Bob") == 1


def test_rows_without_a_time_are_read_first_and_once(shop: Shop, users: Schedule) -> None:
    shop.add_users(12)
    shop.run("update users set changed_at = null where id <= 11")
    assert counters(import_all(users), *COUNTS) == [12, 12, 0, 12, 0]
    assert import_all(users).counters["read"] == 1


def test_a_source_without_a_changed_column_is_read_whole_each_time(shop: Shop) -> None:
    make_rules()
    schedule = users_schedule(shop.app(), options={"changed_column": ""})
    shop.add_users(15)
    import_all(schedule)
    assert counters(import_all(schedule), "read", "events", "created", "changed") == [15, 15, 0, 0]


def test_a_query_with_a_high_water_mark_is_read_page_by_page(shop: Shop) -> None:
    make_rules()
    query = "select id, lower(email) as email, first_name, changed_at from users where changed_at > {{high_water_mark}}"
    schedule = users_schedule(shop.app(), options={"table": "", "query": query})
    shop.add_users(25)
    assert counters(import_all(schedule), "read", "created") == [25, 25]
    shop.add_users(1, first=26, at=NOON + timedelta(hours=2))
    assert counters(import_all(schedule), "events", "created") == [1, 1]


def test_a_schedule_may_be_told_to_make_no_profiles(shop: Shop) -> None:
    make_rules()
    schedule = users_schedule(shop.app(), options={"may_create": False})
    shop.add_users(5)
    assert counters(import_all(schedule), "events", "created", "unlinked") == [5, 0, 5]
    assert not Profile.objects.exists()


def test_column_rules_that_the_page_answers_are_filled_from_it(shop: Shop) -> None:
    make_rules()
    app = shop.app()
    column = {"table": "users", "column": "first_name", "key_column": "id"}
    create_rule(NewRule(key="called", type="string", app=app, column=column, column_key="user_id"), actor=SYSTEM)
    schedule = users_schedule(app, fields={"id": "user_id", "email": "email"})
    shop.add_users(5)
    import_all(schedule)
    assert names("called") == ["Alice"] * 5


def test_a_row_answers_no_column_rule_of_someone_it_was_not_found_by(shop: Shop) -> None:
    create_rule(NewRule(key="email", type="email", is_unique=True), actor=SYSTEM)
    create_rule(NewRule(key="user_id", type="integer", is_unique=True), actor=SYSTEM)
    app = shop.app()
    column = {"table": "users", "column": "first_name", "key_column": "id"}
    create_rule(NewRule(key="called", type="string", app=app, column=column, column_key="user_id"), actor=SYSTEM)
    schedule = users_schedule(app, fields={"id": "user_id", "email": "email"})
    shop.add_users(2)
    import_all(schedule)
    later = NOON + timedelta(hours=1)
    shop.run("update users set email = 'person1@example.com', first_name = 'Bob', changed_at = %s where id = 2", later)
    import_all(schedule)
    by_email = Profile.objects.get(properties__email="person1@example.com")
    assert (by_email.properties["user_id"], by_email.properties["called"]) == (1, "Alice")


def test_the_tasks_start_what_is_due_and_work_on_it(shop: Shop) -> None:
    make_rules()
    users_schedule(shop.app(), every_minutes=10)
    shop.add_users(15)
    tasks.start_due()
    tasks.import_slice()
    assert Run.objects.get().state == RunState.COMPLETE
    assert len(names()) == 15


# ---------------------------------------------------------------- what cannot be used


def test_errors_are_grouped_by_message_with_a_count_and_five_examples(shop: Shop, users: Schedule) -> None:
    shop.add_users(30)
    shop.run("update users set email = 'not an address' where id <= 17")
    run = import_all(users)
    (error,) = run.errors.all()
    assert (error.message.partition(":")[0], error.count) == ("email", 17)
    assert [example["row"] for example in error.examples] == [1, 2, 3, 4, 5]
    assert error.examples[0]["detail"] == "not an address"
    assert names() == list(range(1, 31)), "a value that does not fit never blocks the person"


def test_a_row_that_the_database_refuses_is_told_and_holds_up_no_other(shop: Shop, users: Schedule) -> None:
    shop.add_users(25)
    shop.run("update users set first_name = 'Charlie' where id = 14")
    with connection.cursor() as cursor:
        cursor.execute("alter table profile add constraint no_charlie check (properties ->> 'first_name' <> 'Charlie')")
        try:
            run = import_all(users)
        finally:
            cursor.execute("alter table profile drop constraint no_charlie")
    assert counters(run, "read", "created", "rejected") == [25, 24, 1]
    (error,) = run.errors.all()
    assert (error.message, error.examples[0]["row"]) == ("The row cannot be stored", 14)
    assert names() == [number for number in range(1, 26) if number != 14]


def test_a_table_that_vanished_fails_the_run_at_once_with_a_sentence(shop: Shop, users: Schedule) -> None:
    shop.run("drop table users")
    run = finish(start(users))
    assert run.state == RunState.FAILED
    assert "users" in run.error
    assert run.work.state == "failed"


def test_a_column_that_vanished_is_named_and_nothing_is_lost(shop: Shop, users: Schedule) -> None:
    shop.add_users(5)
    import_all(users)
    shop.run("alter table users drop first_name")
    run = finish(start(users))
    assert run.state == RunState.FAILED
    assert "first_name" in run.error
    assert names("first_name") == ["Alice"] * 5


# ---------------------------------------------------------------- stop, kill, sources that die


def test_a_stop_is_seen_at_the_next_page_and_a_retry_goes_on_from_there(shop: Shop, users: Schedule) -> None:
    shop.add_users(35)
    run = start(users)
    worker = Worker()
    assert worker.take_page()
    runs.stop_run(run.pk, actor=SYSTEM)
    assert worker.take_page()
    assert not worker.take_page()
    run.refresh_from_db()
    assert run.state == RunState.STOPPED
    assert len(names()) == 20
    again = finish(runs.retry_run(run.pk, actor=SYSTEM))
    assert (again.state, again.counters["read"]) == (RunState.COMPLETE, 15)
    assert names() == list(range(1, 36))


def test_a_run_that_nobody_works_on_stops_too(users: Schedule) -> None:
    run = start(users)
    runs.stop_run(run.pk, actor=SYSTEM)
    assert finish(run).state == RunState.STOPPED
    with pytest.raises(Refused, match="ended already"):
        runs.stop_run(run.pk, actor=SYSTEM)


def test_after_a_kill_the_next_worker_goes_on_behind_the_last_page_that_was_taken(shop: Shop, users: Schedule) -> None:
    shop.add_users(35)
    run = start(users)
    killed = Worker()
    assert killed.take_page()
    assert leases.claim("import") is None, "nobody else may work on it while the lease lasts"
    let_leases_run_out()
    run = finish(run)
    assert run.state == RunState.COMPLETE
    assert counters(run, *COUNTS) == [35, 35, 0, 35, 0]


def test_a_worker_whose_lease_ran_out_in_mid_page_writes_nothing(shop: Shop, users: Schedule) -> None:
    shop.add_users(35)
    run = start(users)
    slow = Worker()
    assert slow.take_page()
    let_leases_run_out()
    other = Worker()
    with pytest.raises(LostLease):
        slow.take_page()
    while other.take_page():
        pass
    run.refresh_from_db()
    assert counters(run, *COUNTS) == [35, 35, 0, 35, 0]
    assert Event.objects.count() == 35


def test_a_source_that_dies_half_way_is_tried_again_and_nothing_is_lost(shop: Shop, users: Schedule) -> None:
    shop.add_users(400)
    run = start(users)
    worker = Worker()
    assert worker.take_page()
    close(shop)
    while worker.take_page():  # what was read ahead is taken
        pass
    run.refresh_from_db()
    assert (run.state, run.work.failures) == (RunState.RUNNING, 1)
    assert run.work.error
    open_again(shop)
    let_leases_run_out()
    run = finish(run)
    assert (run.state, run.counters["read"]) == (RunState.COMPLETE, 400)
    assert names() == list(range(1, 401))


def test_a_source_that_stays_dead_fails_the_run_with_the_reason_and_keeps_what_came(
    shop: Shop, users: Schedule
) -> None:
    shop.add_users(35)
    run = start(users)
    assert Worker().take_page()
    close(shop)
    try:
        for _ in range(importing.MOST_FAILURES):
            let_leases_run_out()
            importing.work_slice()
    finally:
        open_again(shop)
    run.refresh_from_db()
    assert (run.state, run.work.state) == (RunState.FAILED, "failed")
    assert "tried 5 times" in run.error
    assert len(names()) == 10
    assert import_all(users).counters["created"] == 25


def close(shop: Shop) -> None:
    """Cut every connection to the shop and let no new one in, as a server that goes away does."""
    change_connections(shop, allowed=False)


def open_again(shop: Shop) -> None:
    """The shop's server is back."""
    change_connections(shop, allowed=True)


def change_connections(shop: Shop, *, allowed: bool) -> None:
    name = shop.dsn["dbname"]
    with connection.cursor() as cursor:
        cursor.execute(f'alter database "{name}" with allow_connections {allowed}')
        cursor.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])


# ---------------------------------------------------------------- two at the same time


def test_two_workers_on_one_run_take_every_row_once(shop: Shop, users: Schedule) -> None:
    shop.add_users(200)
    run = start(users)
    at_the_same_time(*[importing.work_slice] * 3)
    run = finish(run) if Run.objects.get(pk=run.pk).state in runs.UNFINISHED else Run.objects.get(pk=run.pk)
    assert counters(run, *COUNTS) == [200, 200, 0, 200, 0]
    assert names() == list(range(1, 201))


def test_of_many_workers_one_starts_the_run_that_is_due(shop: Shop) -> None:
    make_rules()
    users_schedule(shop.app(), every_minutes=10)
    at_the_same_time(*[runs.start_due] * 4)
    assert Run.objects.count() == 1
    assert Work.objects.count() == 1


def at_the_same_time(*calls: Callable[[], object]) -> None:
    """Call all of them at once, each in a thread with a connection of its own; their errors are raised."""
    barrier, errors = threading.Barrier(len(calls)), list[BaseException]()

    def run(call: Callable[[], object]) -> None:
        try:
            barrier.wait()
            call()
        except BaseException as error:  # noqa: BLE001 - told by the test, not lost in a thread
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
