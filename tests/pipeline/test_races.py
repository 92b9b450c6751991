"""Workers that get in each other's way, on real connections in threads: nothing is lost, doubled or left half done."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction

from core.work import leases
from core.work.leases import Lease, LostLease
from core.work.models import Work
from events.inbox import accept
from events.models import Event, EventKey, Inbox
from pipeline import inbox
from pipeline import process as pipeline
from pipeline.inbox import InboxClaim
from pipeline.items import BatchResult
from pipeline.process import process
from profiles import identity
from profiles.models import Profile, ProfileChange, ProfileIdentity, RuleSetVersion
from tests.pipeline.people import Held, event, everyone, rule, shop_rules
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

TOGETHER = 30.0  # seconds that a thread waits for another one before the test fails


@pytest.fixture(autouse=True)
def _rules() -> None:
    shop_rules()


def in_threads(*jobs: Callable[[], Any]) -> list[Any]:
    """Run the jobs at the same time, each on a connection of its own; what they return, or what went wrong first."""
    failures: list[BaseException] = []

    def run(job: Callable[[], Any]) -> Any:
        try:
            return job()
        except BaseException as failure:
            failures.append(failure)
            raise
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as threads:
        futures = [threads.submit(run, job) for job in jobs]
    if failures:
        raise failures[0]
    return [future.result() for future in futures]


@contextmanager
def between_reading_and_writing(monkeypatch: pytest.MonkeyPatch, what: Callable[[], object]) -> Iterator[None]:
    """Let `what` happen, on another connection, after a batch was prepared and before it is written; once."""
    write, happened = pipeline.write, threading.Event()

    def write_late(*args: Any, **more: Any) -> BatchResult:
        if not happened.is_set():
            happened.set()
            in_threads(what)
        return write(*args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "write", write_late)
        yield
    assert happened.is_set()


# ---------------------------------------------------------------- the same people


def assert_identities_hold() -> None:
    """Every unique value belongs to exactly the one profile that shows it."""
    keys = {"user_id", "email"}
    shown = {
        (key, str(values[key]), guid)
        for guid, values in Profile.objects.values_list("guid", "properties")
        for key in keys & values.keys()
    }
    owned = set(ProfileIdentity.objects.values_list("rule__key", "value", "profile_id"))
    assert shown == owned


@pytest.mark.parametrize("seed", range(3))
def test_three_workers_that_meet_the_same_people_make_each_of_them_once(seed: int) -> None:
    people, gate = 60, threading.Barrier(3)

    def worker(number: int) -> Callable[[], int]:
        chance = random.Random(seed * 10 + number)

        def work() -> int:
            created = 0
            for batch in range(4):
                users = chance.sample(range(people), 40)
                events = [
                    event(
                        {"user_id": user, "email": f"user{user}@example.com", "age": chance.randrange(99)},
                        message_id=f"{number}-{batch}-{user}",
                    )
                    for user in users
                ]
                gate.wait(TOGETHER)
                created += process(events, claim=Held()).created
            return created

        return work

    created = in_threads(*[worker(number) for number in range(3)])
    users = [values["user_id"] for values in everyone()]
    assert len(users) == len(set(users)) == sum(created)
    assert Event.objects.count() == EventKey.objects.count() == 3 * 4 * 40
    assert Event.objects.filter(profile_id__isnull=True).count() == 0
    assert_identities_hold()


@pytest.mark.parametrize("seed", range(3))
def test_workers_that_fight_over_emails_leave_every_value_with_one_owner(seed: int) -> None:
    """Two people ask for the same few emails again and again, in opposite orders: conflicts, but no deadlock left."""
    gate = threading.Barrier(3)

    def worker(number: int) -> Callable[[], None]:
        chance = random.Random(seed * 10 + number)

        def work() -> None:
            for batch in range(5):
                events = [
                    event(
                        {"user_id": chance.randrange(20), "email": f"shared{chance.randrange(15)}@example.com"},
                        at=chance.randrange(200),
                        message_id=f"{number}-{batch}-{index}",
                    )
                    for index in range(30)
                ]
                gate.wait(TOGETHER)
                process(events, claim=Held())

        return work

    in_threads(*[worker(number) for number in range(3)])
    users = [values["user_id"] for values in everyone() if "user_id" in values]
    assert len(users) == len(set(users))
    assert Event.objects.count() == 3 * 5 * 30
    assert_identities_hold()


def test_a_person_made_by_another_worker_in_the_meantime_is_found_not_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with between_reading_and_writing(
        monkeypatch, lambda: take_alone({"user_id": 3, "first_name": "Alice"}, message_id="other")
    ):
        result = process([event({"user_id": 3, "age": 41}, at=1)], claim=Held())
    assert (result.created, result.changed) == (0, 1)
    assert everyone() == [{"user_id": 3, "first_name": "Alice", "age": 41}]


def test_a_value_changed_by_another_worker_in_the_meantime_is_not_overwritten_by_an_older_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process([event({"user_id": 3, "first_name": "A"})], claim=Held())
    with between_reading_and_writing(
        monkeypatch, lambda: take_alone({"user_id": 3, "first_name": "Alicia"}, at=9, message_id="other")
    ):
        process([event({"user_id": 3, "first_name": "Alice", "age": 41}, at=5)], claim=Held())
    assert everyone() == [{"user_id": 3, "first_name": "Alicia", "age": 41}]


def test_who_gave_up_an_identity_while_they_were_looked_up_is_not_taken_for_its_owner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process([event({"user_id": 3, "email": "alice@example.com"})], claim=Held())
    read_people, happened = identity.read_people, threading.Event()

    def read_late(*args: Any, **more: Any) -> Any:
        if not happened.is_set():
            happened.set()
            in_threads(lambda: take_alone({"user_id": 3, "email": "alicia@example.com"}, at=1))
            in_threads(lambda: take_alone({"user_id": 4, "email": "alice@example.com"}, at=2))
        return read_people(*args, **more)

    monkeypatch.setattr(identity, "read_people", read_late)
    process([event({"email": "alice@example.com", "first_name": "Bob"}, at=3)], claim=Held())
    assert everyone() == [
        {"user_id": 3, "email": "alicia@example.com"},
        {"user_id": 4, "email": "alice@example.com", "first_name": "Bob"},
    ]
    assert_identities_hold()


def test_a_message_stored_by_another_worker_in_the_meantime_is_a_repetition(monkeypatch: pytest.MonkeyPatch) -> None:
    again = event({"user_id": 3, "first_name": "Alice"}, message_id="the same")
    with between_reading_and_writing(monkeypatch, lambda: process([again], claim=Held())):
        result = process([again, event({"user_id": 4})], claim=Held())
    assert (result.duplicates, result.created) == (1, 1)
    assert (Event.objects.count(), Profile.objects.count()) == (2, 2)


def take_alone(payload: dict[str, Any], **more: Any) -> None:
    process([event(payload, **more)], claim=Held())


# ---------------------------------------------------------------- leases that run out


def let_leases_of_the_inbox_run_out() -> None:
    with connection.cursor() as cursor:
        cursor.execute("update inbox set lease_until = clock_timestamp() - interval '1 second'")


def count_all() -> tuple[int, ...]:
    """How many rows a batch may leave behind, by table."""
    return tuple(model.objects.count() for model in (Profile, ProfileIdentity, ProfileChange, Event, EventKey, Inbox))


def claim_rows() -> tuple[InboxClaim, Sequence[Any]]:
    token, batch = inbox.claim(limit=100)
    return InboxClaim(token, [one.id for one in batch if one.id is not None]), batch


def test_a_worker_whose_lease_on_events_ran_out_writes_nothing_and_the_other_takes_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accept([{"user_id": user, "first_name": "Alice"} for user in range(5)], source_kind="api_key", source_id=1)
    slow, batch = claim_rows()

    def take_over() -> None:
        let_leases_of_the_inbox_run_out()
        assert inbox.process_some() is False

    with between_reading_and_writing(monkeypatch, take_over), pytest.raises(LostLease):
        process(batch, claim=slow)
    assert count_all() == (5, 5, 5, 5, 5, 0)


def test_a_worker_that_lost_some_of_its_events_takes_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    accept([{"user_id": user} for user in range(5)], source_kind="api_key", source_id=1)
    slow, batch = claim_rows()

    def claim_two() -> None:
        let_leases_of_the_inbox_run_out()
        assert len(inbox.claim(limit=2)[1]) == 2

    with between_reading_and_writing(monkeypatch, claim_two), pytest.raises(LostLease):
        process(batch, claim=slow)
    assert count_all() == (0, 0, 0, 0, 5, 5)  # the keys were taken at the door
    let_leases_of_the_inbox_run_out()
    inbox.process_some()
    assert count_all() == (5, 5, 5, 5, 5, 0)


def test_a_lease_that_runs_out_while_the_batch_commits_is_not_taken_over_before() -> None:
    """The rows are locked from `hold` on: another worker passes them by, whatever their lease says."""
    accept([{"user_id": 3}], source_kind="api_key", source_id=1)
    slow, batch = claim_rows()
    let_leases_of_the_inbox_run_out()
    claimed_meanwhile: list[int] = []

    def also(_: BatchResult) -> None:
        in_threads(lambda: claimed_meanwhile.append(len(inbox.claim(limit=10)[1])))

    process(batch, claim=slow, also=also)
    assert claimed_meanwhile == [0]
    assert count_all() == (1, 1, 1, 1, 1, 0)


class Step:
    """A step of long work, one page of one event: the mark moves with it."""

    def __init__(self, lease: Lease, *, mark: int) -> None:
        self.lease, self.mark = lease, mark

    def hold(self, _: BatchResult) -> None:
        self.lease.hold(mark=self.mark, done=self.mark)


def let_lease_of_work_run_out() -> None:
    with connection.cursor() as cursor:
        cursor.execute("update work set lease_until = clock_timestamp() - interval '1 second'")


def claim_work() -> Lease:
    lease = leases.claim("import")
    assert lease is not None
    return lease


def test_a_worker_whose_lease_on_work_ran_out_writes_nothing_and_the_other_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leases.enqueue(kind="import", subject="1", mark=0)
    slow, page = claim_work(), event({"user_id": 3, "first_name": "Alice"}, message_id="page 1")

    def take_over() -> None:
        let_lease_of_work_run_out()
        process([page], claim=Step(claim_work(), mark=1))

    counted: list[int] = []
    with between_reading_and_writing(monkeypatch, take_over), pytest.raises(LostLease):
        process([page], claim=Step(slow, mark=7), also=lambda result: counted.append(result.events))
    assert counted == []
    assert Work.objects.values_list("mark", "done", "state").get() == (1, 1, "running")
    assert count_all() == (1, 1, 1, 1, 1, 0)


def test_who_was_outrun_by_a_lost_lease_cannot_give_back_end_or_renew_the_work() -> None:
    leases.enqueue(kind="import", subject="1", mark=0)
    slow = claim_work()
    let_lease_of_work_run_out()
    other = claim_work()
    for act in (slow.release, slow.finish, slow.renew, lambda: slow.fail_slice("no")):
        with pytest.raises(LostLease):
            act()
    assert Work.objects.values_list("token", "state", "failures").get() == (other.token, "running", 0)


def test_of_many_workers_each_piece_of_work_goes_to_one() -> None:
    for subject in range(4):
        leases.enqueue(kind="import", subject=str(subject))
    gate = threading.Barrier(6)

    def claim() -> str | None:
        gate.wait(TOGETHER)
        lease = leases.claim("import")
        return None if lease is None else lease.subject

    claimed = [subject for subject in in_threads(*[claim] * 6) if subject is not None]
    assert len(claimed) == len(set(claimed))
    while (lease := leases.claim("import")) is not None:  # who met only locked rows went home; the work did not
        claimed.append(lease.subject)
    assert sorted(claimed) == ["0", "1", "2", "3"]


def test_work_asked_for_by_many_at_once_is_one_piece() -> None:
    gate = threading.Barrier(4)

    def ask() -> int:
        gate.wait(TOGETHER)
        with transaction.atomic():
            return int(leases.enqueue(kind="group", subject="9").pk)

    assert len(set(in_threads(*[ask] * 4))) == 1
    assert Work.objects.count() == 1


# ---------------------------------------------------------------- rules that change


def test_a_property_made_during_a_batch_is_saved_by_that_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[UUID] = []
    with between_reading_and_writing(monkeypatch, lambda: rule("colour")):
        process(
            [event({"user_id": 3, "colour": "red"})],
            claim=Held(),
            also=lambda _: held.extend(Profile.objects.values_list("guid", flat=True)),
        )
    assert everyone() == [{"user_id": 3, "colour": "red"}]
    assert len(held) == 1  # the batch that started over is the only one that was written


def test_a_rule_cannot_change_while_a_batch_is_being_written() -> None:
    order: list[str] = []
    started = threading.Event()

    def change_rules() -> None:
        started.set()
        rule("colour")
        order.append("rule")

    version = RuleSetVersion.objects.get().version
    with ThreadPoolExecutor(1) as threads:
        changes = []

        def also(_: BatchResult) -> None:
            changes.append(threads.submit(in_threads, change_rules))
            assert started.wait(TOGETHER)
            wait_until(somebody_waits_for_a_lock, what="the change of the rules waits", within=TOGETHER)
            assert RuleSetVersion.objects.get().version == version
            order.append("batch")

        process([event({"user_id": 3})], claim=Held(), also=also)
        changes[0].result(timeout=TOGETHER)
    assert order == ["batch", "rule"]
    assert RuleSetVersion.objects.get().version > version


def somebody_waits_for_a_lock() -> bool:
    """Whether some session waits for an advisory lock of this database that another one holds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select exists (select 1 from pg_locks where locktype = 'advisory' and not granted and database ="
            " (select oid from pg_database where datname = current_database()))"
        )
        return bool(cursor.fetchone()[0])


def test_batches_and_rule_changes_at_the_same_time_all_come_through() -> None:
    gate = threading.Barrier(3)

    def take_batches(number: int) -> Callable[[], None]:
        def work() -> None:
            gate.wait(TOGETHER)
            for batch in range(6):
                events = [
                    event({"user_id": user, "late": batch}, message_id=f"{number}-{batch}-{user}") for user in range(9)
                ]
                process(events, claim=Held())

        return work

    def change_rules() -> None:
        gate.wait(TOGETHER)
        for number in range(4):
            rule(f"colour_{number}")
        rule("late", "integer")

    in_threads(take_batches(0), take_batches(1), change_rules)
    assert Event.objects.count() == 2 * 6 * 9
    process([event({"user_id": user, "late": 7}, at=60) for user in range(9)], claim=Held())
    assert everyone() == [{"user_id": user, "late": 7} for user in range(9)]
