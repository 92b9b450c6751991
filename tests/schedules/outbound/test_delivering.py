"""How events leave: once, in order per profile, tried again, put aside, halted."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from apps_connectors.models import App
from core.accounts import project
from core.accounts.actors import SYSTEM
from core.accounts.models import AuditEntry, Project
from core.work.models import Work
from events.models import Event
from groups import groups_store
from plugins.contracts import ACCEPTED, Halt, OutboundItem, Outcome, OutcomeKind, Reject, Retry
from profiles.models import Profile
from schedules.outbound import deliveries, delivering, owing, subscriptions
from schedules.outbound.bodies import load_plan
from schedules.outbound.models import OutboundCursor, OutboundDelivery, Subscription
from tests.pipeline.people import event, take
from tests.schedules.outbound.world import (
    Postbox,
    World,
    cart,
    carts,
    deliver,
    make_due,
    run_slices,
    seconds_until,
    states,
    wait_for_horizon,
)

RETRY, REJECT, HALT = OutcomeKind.RETRY, OutcomeKind.REJECT, OutcomeKind.HALT


def answer_number(number: int, outcome: Outcome) -> Callable[[OutboundItem], Outcome]:
    """This outcome for the event of this number, accepted for the others."""
    return lambda item: outcome if item.body.get("number") == number else ACCEPTED


def test_each_event_goes_out_once_with_an_id_of_its_own(world: World) -> None:
    carts(1, 0)
    made = world.subscribe()
    carts(1, 1, 2)
    deliver()
    deliver()
    assert world.box.numbers() == [1, 2], "what came before the subscription is not sent"
    sent = list(OutboundDelivery.objects.order_by("event_id"))
    assert [item.id for item in world.box.taken] == [f"{each.event_id}-{made.pk}" for each in sent]
    assert states() == ["accepted", "accepted"]
    assert [each.attempts for each in sent] == [1, 1]


def test_two_subscriptions_get_an_event_each_under_their_own_ids(world: World) -> None:
    world.subscribe("one")
    world.subscribe("two")
    carts(1, 1)
    deliver()
    assert len({item.id for item in world.box.taken}) == 2


def test_what_a_transaction_that_is_still_open_writes_is_not_missed(world: World) -> None:
    """Bob's event is begun first and committed last: an id or a time that was passed would leave it out."""
    world.subscribe()
    begun, may_commit = threading.Event(), threading.Event()

    def take_slowly() -> None:
        with closing(connection), transaction.atomic():
            carts(2, 2)
            begun.set()
            assert may_commit.wait(20)

    with ThreadPoolExecutor(1) as other:
        slow = other.submit(take_slowly)
        try:
            assert begun.wait(20)
            carts(1, 1)
            assert Event.objects.count() == 1, "Bob's transaction is open"
            run_slices()
            assert world.box.numbers() == [], "nothing is read beyond a transaction that is still open"
        finally:
            may_commit.set()
        slow.result(timeout=20)
    deliver()
    assert sorted(world.box.numbers()) == [1, 2]
    deliver()
    assert len(world.box.taken) == 2


def test_many_events_are_read_in_steps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(owing.owe_new.__kwdefaults__ or {}, "limit", 10)
    world.subscribe()
    for start in range(0, 60, 6):
        take(*(cart(number % 7, number=number) for number in range(start, start + 6)))
    deliver()
    assert sorted(world.box.numbers()) == list(range(60))


def test_a_retried_event_holds_back_the_later_ones_of_its_profile_and_nobody_else(world: World) -> None:
    world.subscribe()
    take(cart(1, number=1), cart(2, number=2), cart(1, number=3), cart(2, number=4))
    world.box.answer = answer_number(1, Outcome(RETRY, "Try later."))
    deliver()
    assert world.box.numbers() == [2, 4]
    assert states() == ["retrying", "accepted", "owed", "accepted"]
    carts(1, 5)
    deliver()
    assert world.box.numbers() == [2, 4], "what comes later waits too"
    world.box.answer = lambda item: ACCEPTED
    deliver(waits=1)
    assert world.box.numbers() == [2, 4, 1, 3, 5]
    first = OutboundDelivery.objects.order_by("event_id").first()
    assert first is not None
    assert (first.attempts, [entry["text"] for entry in first.log]) == (2, ["Try later.", ""])


def test_a_rejected_event_holds_nobody_back_and_says_why(world: World) -> None:
    world.subscribe()
    world.box.answer = answer_number(1, Outcome(REJECT, "The name is too long.", reply="400 Bad Request"))
    carts(1, 1, 2)
    deliver()
    assert world.box.numbers() == [2]
    assert states() == ["rejected", "accepted"]
    rejected = OutboundDelivery.objects.get(state="rejected")
    assert (rejected.error, rejected.reply, rejected.next_at) == ("The name is too long.", "400 Bad Request", None)


def test_one_that_spoils_a_batch_is_found_and_the_others_go_out(world: World) -> None:
    world.subscribe()

    def spoil(item: OutboundItem) -> Outcome:
        if item.body.get("number") == 3:
            raise Reject("This one cannot be read.")
        return ACCEPTED

    world.box.answer = spoil
    take(*(cart(number, number=number) for number in range(8)))
    deliver()
    assert sorted(set(world.box.numbers())) == [0, 1, 2, 4, 5, 6, 7]
    assert sorted(states()) == ["accepted"] * 7 + ["rejected"]


def test_a_time_that_the_destination_asks_for_is_kept_and_costs_no_try(world: World) -> None:
    world.subscribe()
    world.box.answer = answer_number(1, Outcome(RETRY, "Too many requests.", after=600.0))
    take(*(cart(number, number=number) for number in (1, 2)))
    deliver()
    row = OutboundDelivery.objects.get(state="retrying")
    assert (row.tries, row.attempts) == (0, 1)
    assert seconds_until("select next_at from outbound_delivery where state = 'retrying'") < 1, "the others wait too"
    assert 590 < seconds_until("select rests_until from outbound_cursor") < 601
    calls = len(world.box.calls)
    carts(3, 3)
    deliver()
    assert len(world.box.calls) == calls, "nothing is sent while it rests"
    world.box.answer = lambda item: ACCEPTED
    deliver(waits=1)
    assert sorted(world.box.numbers()) == [1, 2, 3]


def test_a_destination_that_takes_nothing_is_left_alone_longer_each_time(world: World) -> None:
    world.subscribe()

    def refuse(item: OutboundItem) -> Outcome:
        raise Retry("503 Service Unavailable")

    world.box.answer = refuse
    take(*(cart(number, number=number) for number in (1, 2)))
    rests = []
    for _ in range(3):
        deliver()
        rests.append(seconds_until("select rests_until from outbound_cursor"))
        make_due()
    assert 3 < rests[0] < 7 < 11 < rests[1] < 19 < 44 < rests[2] < 76
    assert all(row.tries == 3 for row in OutboundDelivery.objects.all())
    world.box.answer = lambda item: ACCEPTED
    deliver()
    assert sorted(world.box.numbers()) == [1, 2]
    assert OutboundCursor.objects.get().waits == 0


def test_one_dead_destination_does_not_keep_another_from_its_events(world: World) -> None:
    world.subscribe("dead")
    carts(1, 1, 2)

    def refuse(item: OutboundItem) -> Outcome:
        raise Retry("Connection refused")

    world.box.answer = refuse
    deliver()
    world.subscribe("alive", options={"alive": True})
    world.box.answer = lambda item: ACCEPTED if item.options else refuse(item)
    carts(2, 3)
    deliver()
    assert world.box.numbers() == [3]


def test_retries_end_some_day_and_the_next_event_of_the_profile_goes_out(world: World, settings: Any) -> None:
    settings.OUTBOUND_GIVE_UP_HOURS = 1
    world.subscribe()
    world.box.answer = answer_number(1, Outcome(RETRY, "Not now."))
    carts(1, 1, 2)
    deliver()
    assert states() == ["retrying", "owed"]
    OutboundDelivery.objects.filter(state="retrying").update(tried_since="2020-01-01T00:00:00Z")
    deliver(waits=1)
    assert states() == ["given_up", "accepted"]
    given_up = OutboundDelivery.objects.get(state="given_up")
    assert given_up.error == "Given up after 1 hour. Not now."


def test_a_halt_pauses_the_subscription_until_a_person_has_mended_it(world: World) -> None:
    made = world.subscribe()
    world.box.answer = lambda item: Outcome(HALT, "The key is wrong.")
    carts(1, 1)
    deliver()
    made.refresh_from_db()
    assert (made.state, made.paused_reason) == ("paused", "The key is wrong.")
    assert AuditEntry.objects.filter(action="subscription.halt").exists()
    world.box.answer = lambda item: ACCEPTED
    carts(1, 2)
    deliver(waits=1)
    assert world.box.numbers() == []
    assert states() == ["halted", "owed"], "what comes meanwhile is noted"
    subscriptions.resume_subscription(made.pk, actor=SYSTEM)
    deliver()
    assert world.box.numbers() == [1, 2]


def test_a_call_that_raises_halt_pauses_too(world: World) -> None:
    made = world.subscribe()

    def refuse(item: OutboundItem) -> Outcome:
        raise Halt("410 Gone")

    world.box.answer = refuse
    carts(1, 1, 2)
    deliver()
    made.refresh_from_db()
    assert (made.state, made.paused_reason) == ("paused", "410 Gone")
    assert states() == ["halted", "owed"]


def test_what_was_missed_may_be_skipped(world: World) -> None:
    made = world.subscribe()
    subscriptions.pause_subscription(made.pk, actor=SYSTEM)
    carts(1, 1, 2)
    deliver()
    assert states() == ["owed", "owed"]
    subscriptions.resume_subscription(made.pk, send_missed=False, actor=SYSTEM)
    carts(1, 3)
    deliver()
    assert world.box.numbers() == [3]
    assert states() == ["skipped", "skipped", "accepted"]


def test_nothing_leaves_while_the_app_is_paused_or_sending_is_stopped(world: World) -> None:
    world.subscribe()
    project.current()
    Project.objects.update(sending_stopped=True)
    project.forget()
    carts(1, 1)
    deliver()
    assert world.box.numbers() == []
    Project.objects.update(sending_stopped=False)
    project.forget()
    world.app.paused_at = world.app.created_at
    world.app.save()
    deliver()
    assert world.box.numbers() == []
    world.app.paused_at = None
    world.app.save()
    deliver()
    assert world.box.numbers() == [1]


def test_what_a_dead_worker_had_sent_goes_out_again_under_the_same_id(world: World) -> None:
    world.subscribe()
    carts(1, 1, 2)

    def die() -> None:
        raise KeyboardInterrupt

    world.box.after = die
    with pytest.raises(KeyboardInterrupt):
        deliver()
    assert states() == ["sent", "sent"]
    world.box.after = lambda: None
    Work.objects.update(lease_until=None, next_at="2020-01-01T00:00:00Z")
    deliver()
    assert len(world.box.calls) == 1, "it may still be answered"
    deliver(waits=1)
    assert states() == ["accepted", "accepted"]
    first, second = [[item.id for item in call] for call in world.box.calls]
    assert first == second


def test_a_person_sends_an_event_again_as_it_was(world: World) -> None:
    world.subscribe()
    carts(1, 1)
    deliver()
    row = OutboundDelivery.objects.get()
    take(event({"user_id": 1, "first_name": "Alice"}))
    assert subscriptions.send_again([(row.event_id, row.subscription_id)], actor=SYSTEM) == 1
    deliver()
    first, second = world.box.taken
    assert (first.id, first.body) == (second.id, second.body)
    assert AuditEntry.objects.filter(action="subscription.send_again").count() == 1


def test_a_deleted_subscription_leaves_nothing_behind(world: World) -> None:
    made = world.subscribe()
    carts(1, 1)
    deliver()
    subscriptions.delete_subscription(made.pk, actor=SYSTEM)
    assert not OutboundDelivery.objects.exists()
    assert not Subscription.objects.exists()
    assert not Work.objects.filter(kind="outbound", state__in=["pending", "running"]).exists()
    assert delivering.find_due() == 0


def test_a_restored_copy_reads_on_from_where_it_was(world: World) -> None:
    world.subscribe()
    carts(1, 1)
    deliver()
    OutboundCursor.objects.update(cluster="another server/1", mark=2**60)
    carts(1, 2)
    deliver(waits=1)
    assert world.box.numbers() == [1, 2]
    carts(1, 3)
    deliver()
    assert world.box.numbers() == [1, 2, 3]


def test_old_deliveries_are_forgotten_unless_they_are_owed(world: World) -> None:
    world.subscribe()
    world.box.answer = answer_number(2, Outcome(RETRY, "Not now."))
    take(cart(1, number=1), cart(2, number=2))
    deliver()
    assert deliveries.forget(older_than=-(delivering._AGAIN_BEFORE)) == 1
    assert states() == ["retrying"]


def test_a_thousand_events_cost_a_handful_of_statements(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of statements goes with the calls to the destination, never with the events."""
    monkeypatch.setattr(Postbox, "event_batch_size", 1000)
    world.subscribe(properties=("first_name", "email"), groups=(world.groups["usa"].pk,))
    take(*(event({"user_id": number, "first_name": "Alice"}) for number in range(1000)))
    members = Profile.objects.values_list("guid", flat=True)
    groups_store.add_members(world.groups["usa"].pk, list(members), actor=SYSTEM)
    take(*(cart(number, number=number) for number in range(1000)))
    wait_for_horizon()
    delivering.find_due()
    with CaptureQueriesContext(connection) as captured:
        while delivering.work_slice():
            pass
    assert sorted(world.box.numbers()) == list(range(1000))
    calls = len(world.box.calls)
    assert calls == 7, "10, 20, 40 and so on, while the destination is quick"
    assert len(captured) <= 30 * (calls + 1)
    times = Counter(query["sql"][:80] for query in captured.captured_queries)
    assert max(times.values()) <= 5 * (calls + 1), times.most_common(3)


@pytest.mark.parametrize(("calls", "subscribed", "share"), [(1, 1, 1), (4, 1, 3), (4, 2, 1), (9, 2, 4), (4, 9, 1)])
def test_the_subscriptions_of_an_app_share_its_calls_and_leave_one(
    world: World, calls: int, subscribed: int, share: int
) -> None:
    App.objects.update(parallel_calls=calls)
    made = [world.subscribe(f"carts {number}") for number in range(subscribed)]
    assert delivering._share_of_calls(load_plan(made[0])) == share
