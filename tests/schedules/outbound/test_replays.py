"""Sending again: a selection, all that fits, and what a subscription never got; in the background, stopped, killed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.utils import timezone

from core.accounts import project
from core.accounts.actors import SYSTEM, Actor
from core.accounts.models import AuditEntry
from core.lib import uuid7
from core.lib.errors import InvalidInput, NotFound, Refused
from core.ui import notices
from core.work import leases
from core.work.leases import LostLease
from core.work.models import Work, WorkState
from grouparoo.tasks import keep_house
from plugins.contracts import ACCEPTED, Outcome, OutcomeKind
from schedules.outbound import replays, subscriptions
from schedules.outbound.models import OutboundDelivery
from schedules.outbound.queries import Wanted
from schedules.outbound.replays import AGAIN, MISSED
from tests.api.door import Program, assert_one_shape
from tests.pipeline.people import event, take
from tests.schedules.outbound.world import World, cart, carts, deliver, person, states
from tests.ui.shop import make_user

LATER = Wanted(since=datetime.fromisoformat("2100-01-01T00:00:00Z"))


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "PAGE", 3)


def replay(subscription_id: int, what: str = AGAIN, **wanted: Any) -> Work:
    """Begin one, work it off, and send."""
    work = replays.start(subscription_id, what, Wanted(**wanted), actor=SYSTEM)
    while replays.work_slice():
        pass
    deliver()
    return work


def hour_ago() -> datetime:
    return timezone.now() - timedelta(hours=1)


def age(*numbers: int, hours: int = 48) -> None:
    """As if the events with these numbers had come so long ago, with their deliveries."""
    with connection.cursor() as cursor:
        for number in numbers:
            cursor.execute("select id from event where payload ->> 'number' = %s", [str(number)])
            [(old,)] = cursor.fetchall()
            new = uuid7.make_many(timezone.now() - timedelta(hours=hours), 1)[0]
            cursor.execute("update event set id = %s where id = %s", [new, old])
            cursor.execute("update outbound_delivery set event_id = %s where event_id = %s", [new, old])


def test_everything_goes_again_under_its_own_id_and_in_order(world: World) -> None:
    made = world.subscribe()
    carts(1, 1, 2, 3, 4)
    carts(2, 5, 6, 7)
    deliver()
    before = [(item.id, item.body) for item in world.box.taken]
    take(event({"user_id": 1, "first_name": "Alicia"}))
    assert replays.count(made.pk, AGAIN, Wanted()) == 7
    replay(made.pk)
    assert [(item.id, item.body) for item in world.box.taken] == before * 2
    assert states() == ["accepted"] * 7
    found = replays.find(made.pk)
    assert found is not None
    assert (found.state, found.done, found.total, found.sent) == (WorkState.COMPLETE, 7, 7, 7)
    after = AuditEntry.objects.get(action="subscription.replay").after or {}
    assert (after["what"], after["count"]) == (AGAIN, 7)


def test_only_those_of_a_state_a_person_or_a_time_go_again(world: World) -> None:
    made = world.subscribe()
    other = world.subscribe("other")
    world.box.answer = lambda item: Outcome(OutcomeKind.REJECT, "No.") if item.body["number"] == 2 else ACCEPTED
    carts(1, 1, 2)
    carts(2, 3)
    deliver()
    age(1)
    world.box.answer = lambda item: ACCEPTED
    world.box.taken.clear()
    replay(made.pk, state="rejected")
    assert world.box.numbers() == [2]
    replay(made.pk, profiles=(person(2),))
    assert world.box.numbers() == [2, 3]
    replay(made.pk, until=hour_ago())
    assert world.box.numbers() == [2, 3, 1]
    replay(made.pk, since=hour_ago(), profiles=(person(1),))
    assert world.box.numbers() == [2, 3, 1, 2]
    assert {item.id.rpartition("-")[2] for item in world.box.taken} == {str(made.pk)}
    assert replays.find(other.pk) is None


def test_what_is_under_way_or_waits_for_data_is_left_alone_and_what_rests_goes_at_once(world: World) -> None:
    made = world.subscribe()
    carts(1, 1, 2, 3)
    deliver()
    one, two, three = OutboundDelivery.objects.order_by("event_id").values_list("event_id", flat=True)
    rows = OutboundDelivery.objects
    rows.filter(event_id=one).update(state="sent", next_at=timezone.now(), sent_at=timezone.now())
    rows.filter(event_id=two).update(state="waiting", next_at=timezone.now() + timedelta(hours=1), body=None)
    rows.filter(event_id=three).update(state="retrying", next_at=timezone.now() + timedelta(hours=1), tries=5)
    replays.start(made.pk, AGAIN, Wanted(), actor=SYSTEM)
    while replays.work_slice():
        pass
    assert states() == ["sent", "waiting", "owed"]
    assert rows.get(event_id=three).tries == 0


def test_a_replay_is_stopped_and_another_one_may_begin_then(world: World) -> None:
    made = world.subscribe()
    carts(1, *range(10))
    deliver()
    replays.start(made.pk, AGAIN, Wanted(), actor=SYSTEM)
    lease = leases.claim(replays.KIND)
    assert lease is not None
    assert replays.replay_page(lease)
    with pytest.raises(Refused, match="sending something again already"):
        replays.start(made.pk, AGAIN, Wanted(), actor=SYSTEM)
    replays.stop(made.pk, actor=SYSTEM)
    lease.hold(mark=lease.mark)
    assert not replays.replay_page(lease)
    deliver()
    assert world.box.numbers() == [*range(10), 0, 1, 2], "what was taken up goes out, the rest does not"
    found = replays.find(made.pk)
    assert found is not None
    assert (found.state, found.sent, found.total) == (WorkState.STOPPED, 3, 10)
    with pytest.raises(Refused, match="sends nothing again"):
        replays.stop(made.pk, actor=SYSTEM)
    replay(made.pk)
    assert len(world.box.taken) == 23


def test_a_killed_replay_goes_on_where_it_was_and_its_ghost_writes_nothing(world: World) -> None:
    made = world.subscribe()
    carts(1, *range(10))
    deliver()
    replays.start(made.pk, AGAIN, Wanted(), actor=SYSTEM)
    ghost = leases.claim(replays.KIND)
    assert ghost is not None
    assert replays.replay_page(ghost)
    Work.objects.filter(kind=replays.KIND).update(lease_until="2020-01-01T00:00:00Z")
    other = leases.claim(replays.KIND)
    assert other is not None
    assert replays.replay_page(other)
    with pytest.raises(LostLease):
        replays.replay_page(ghost)
    Work.objects.filter(kind=replays.KIND).update(lease_until=None)
    while replays.work_slice():
        pass
    deliver()
    assert world.box.numbers() == [*range(10)] * 2


def test_events_of_the_past_that_were_never_sent_go_with_the_person_as_they_are_now(world: World) -> None:
    take(event({"user_id": 1, "first_name": "Alice"}), event({"user_id": 2, "first_name": "Bob"}))
    carts(1, 1, 2)
    carts(2, 3)
    age(1, hours=72)
    made = world.subscribe(
        properties=("first_name",), where=({"key": "number", "type": "number", "operator": "less_than", "value": 5},)
    )
    carts(1, 4, 5)
    deliver()
    assert world.box.numbers() == [4]
    take(event({"user_id": 1, "first_name": "Alicia"}))
    since = timezone.now() - timedelta(hours=24)
    assert replays.count(made.pk, MISSED, Wanted(since=since)) == 7, "events to look at, whatever they are"
    replay(made.pk, MISSED, since=since)
    assert sorted(world.box.numbers()) == [2, 3, 4]
    assert {body["number"]: body["profile"]["first_name"] for body in world.box.bodies} == {
        2: "Alicia",
        3: "Bob",
        4: "Alice",
    }
    found = replays.find(made.pk)
    assert found is not None
    assert (found.done, found.sent) == (7, 2)
    replay(made.pk, MISSED, since=since)
    assert len(world.box.taken) == 3, "nothing is sent twice"


def test_what_was_forgotten_cannot_be_told_from_what_was_never_sent(world: World) -> None:
    made = world.subscribe()
    project.update({"delivery_retention_days": 7}, actor=SYSTEM)
    project.forget()
    with pytest.raises(InvalidInput, match="more than 7 days ago is no longer known"):
        replays.start(made.pk, MISSED, Wanted(since=timezone.now() - timedelta(days=8)), actor=SYSTEM)


@pytest.mark.parametrize(
    ("what", "wanted", "field"),
    [
        ("everything", Wanted(), "what"),
        (AGAIN, Wanted(state="owed"), "state"),
        (AGAIN, LATER, "since"),
        (AGAIN, Wanted(), "since"),  # nothing was ever sent
        (MISSED, Wanted(), "since"),
        (MISSED, Wanted(state="accepted", since=timezone.now()), "what"),
    ],
)
def test_what_cannot_be_sent_again_is_refused(world: World, what: str, wanted: Wanted, field: str) -> None:
    made = world.subscribe()
    with pytest.raises(InvalidInput) as caught:
        replays.start(made.pk, what, wanted, actor=SYSTEM)
    assert list(caught.value.fields) == [field]
    assert not Work.objects.filter(kind=replays.KIND).exists()


def test_a_replay_of_a_deleted_subscription_ends(world: World) -> None:
    made = world.subscribe()
    carts(1, 1)
    deliver()
    replays.start(made.pk, AGAIN, Wanted(), actor=SYSTEM)
    subscriptions.delete_subscription(made.pk, actor=SYSTEM)
    assert not replays.work_slice()
    assert not OutboundDelivery.objects.exists()
    with pytest.raises(NotFound):
        replays.stop(made.pk, actor=SYSTEM)


def test_conditions_that_make_no_sense_any_more_end_a_replay_with_the_reason(world: World) -> None:
    carts(1, 1)
    made = world.subscribe(people={"match": "all", "rules": [{"property": "first_name", "operator": "exists"}]})
    replays.start(made.pk, MISSED, Wanted(since=hour_ago()), actor=SYSTEM)
    type(made).objects.update(people={"match": "all", "rules": [{"property": "gone", "operator": "exists"}]})
    while replays.work_slice():
        pass
    found = replays.find(made.pk)
    assert found is not None
    assert found.state == WorkState.FAILED
    assert "no property gone" in found.error


def test_whoever_began_a_replay_hears_how_it_ended(world: World) -> None:
    made, alice = world.subscribe(), make_user()
    carts(1, 1, 2, 3, 4)
    deliver()

    def begin() -> None:
        replays.start(made.pk, AGAIN, Wanted(), actor=Actor.person(alice))

    begin()
    assert notices.awaits(alice.pk)
    while replays.work_slice():
        pass
    [told] = notices.unread(alice.pk)
    assert (told.look, told.text) == ("ok", "4\u00a0deliveries on the way.")
    deliver()
    begin()
    replays.stop(made.pk, actor=Actor.person(alice))
    replays.work_slice()
    assert not notices.awaits(alice.pk)
    assert notices.unread(alice.pk) == []  # who stopped it knows


# ---------------------------------------------------------------- how long deliveries are kept


def test_deliveries_are_kept_for_as_many_days_as_the_project_says_and_what_is_owed_for_ever(world: World) -> None:
    world.subscribe()
    world.box.answer = lambda item: Outcome(OutcomeKind.RETRY, "Not now.") if item.body["number"] == 2 else ACCEPTED
    take(cart(1, number=1), cart(2, number=2), cart(3, number=3), cart(4, number=4))
    deliver()
    age(1, 2, hours=24 * 31)
    age(3, hours=24 * 29)
    project.update({"delivery_retention_days": 30, "log_retention_days": 7}, actor=SYSTEM)
    project.forget()
    keep_house()
    kept = OutboundDelivery.objects.order_by("event_id").values_list("state", flat=True)
    assert list(kept) == ["retrying", "accepted", "accepted"]
    project.update({"delivery_retention_days": 1}, actor=SYSTEM)
    project.forget()
    keep_house()
    assert states() == ["retrying", "accepted"]


def test_more_than_a_thousand_chosen_ones_are_a_matter_for_a_replay(world: World) -> None:
    made = world.subscribe()
    ids = [(each, made.pk) for each in uuid7.make_many(timezone.now(), 1001)]
    with pytest.raises(InvalidInput, match="At most 1,000"):
        subscriptions.send_again(ids, actor=SYSTEM)


def test_sending_the_chosen_ones_again_touches_no_other(world: World) -> None:
    world.subscribe()
    carts(1, 1, 2, 3)
    deliver()
    first, _, third = OutboundDelivery.objects.order_by("event_id").values_list("event_id", "subscription_id")
    assert subscriptions.send_again([first, third], actor=SYSTEM) == 2
    deliver()
    assert world.box.numbers() == [1, 2, 3, 1, 3]


# ---------------------------------------------------------------- over HTTP


def test_a_program_counts_starts_watches_and_stops_a_replay(world: World) -> None:
    made = world.subscribe()
    carts(1, 1, 2, 3, 4)
    deliver()
    program = Program("schedules:read", "schedules:write")
    given = {"Authorization": f"Bearer {program.token}"}
    url = f"/api/v1/subscriptions/{made.pk}/replay/"
    assert_one_shape(program.client.get(url, headers=given), 404, "not_found")
    asked = {"state": "accepted", "profile": str(person(1))}
    assert program.post(asked, to=f"{url}count/").json() == {"count": 4}
    started = program.post(asked, to=url)
    assert (started.status_code, started.json()["total"], started.json()["sent"]) == (202, 4, 0)
    assert_one_shape(program.post(asked, to=url), 409, "refused")
    assert program.client.delete(url, headers=given).status_code == 204
    assert program.client.get(url, headers=given).json()["is_stopping"] is True
    while replays.work_slice():
        pass
    assert program.client.get(url, headers=given).json()["state"] == "stopped"
    missed = program.post({"what": "missed"}, to=url)
    assert list(assert_one_shape(missed, 400, "invalid")["fields"]) == ["since"]
    assert program.post({"what": "missed", "since": hour_ago().isoformat()}, to=f"{url}count/").json() == {"count": 4}


def test_a_program_lists_deliveries_of_a_time(world: World) -> None:
    world.subscribe()
    carts(1, 1, 2)
    deliver()
    age(1)
    program = Program("events:read")
    given = {"Authorization": f"Bearer {program.token}"}
    for name, number in (("since", 2), ("until", 1)):
        url = f"/api/v1/deliveries/?{urlencode({name: hour_ago().isoformat()})}"
        [found] = program.client.get(url, headers=given).json()["results"]
        one = OutboundDelivery.objects.get(event_id=found["event_id"])
        assert one.body["number"] == number
