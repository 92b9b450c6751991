"""The whole way out through the product: what a workspace holds after runs and events, whatever happened on the way."""

from __future__ import annotations

import json

import pytest

from apps_connectors import apps_store
from core.accounts.actors import SYSTEM
from schedules import schedules_store
from schedules.models import RunState, Schedule
from tests.factories import make_rule
from tests.pipeline.people import event, take
from tests.plugins.customerio.conftest import options_for
from tests.plugins.customerio.exports import held
from tests.plugins.customerio.standin import Misbehaviour, Standin
from tests.schedules import destinations
from tests.schedules.outbound import world as outbound

pytestmark = pytest.mark.django_db(transaction=True)

STORY = {
    "cart_abandoned_at": "Jan 5, 2019",
    "cart_items": ["red shirt"],
    "profile": {"user_id": 3, "first_name": "Evan", "email": "evan@grouparoo.com"},
}


def make_app(standin: Standin) -> int:
    return int(apps_store.create_app("customerio", "Customer.io", options_for(standin), actor=SYSTEM).pk)


def make_export(world: destinations.World, app_id: int) -> Schedule:
    data = schedules_store.ScheduleData(
        direction="export",
        name="people",
        app_id=app_id,
        options={"key_field": "id"},
        fields={"id": "user_id", "email": "email", "created_at": "born_at", "visits": "visits", "is_vip": "is_vip"},
        groups={world.groups["vip"].pk: "Lapsed customers", world.groups["new"].pk: "USA"},
    )
    return schedules_store.create_schedule(data, actor=SYSTEM)


def test_an_export_ends_with_what_the_profiles_are(monkeypatch: pytest.MonkeyPatch, standin: Standin) -> None:
    world = destinations.make_world(monkeypatch)
    make_rule("user_id", "integer", is_unique=True, identity_rank=2)
    for key, kind in (("visits", "integer"), ("is_vip", "boolean"), ("born_at", "date")):
        make_rule(key, kind)
    born = "1990-02-28T00:00:00.000000Z"
    alice, bob, _ = world.people(
        {"user_id": 1, "email": "alice@example.com", "born_at": born, "visits": 3, "is_vip": True},
        {"user_id": 2, "email": "bob@example.com", "visits": 0, "is_vip": False},
        {"user_id": 3, "email": "charlie@example.com"},
    )
    world.join(alice, "new")
    schedule = make_export(world, make_app(standin))
    standin.expect(Misbehaviour("throttle"), Misbehaviour("error"), Misbehaviour("cut_after"))
    run = destinations.export(schedule, waits=5)
    assert (run.state, run.error, run.counters["created"]) == (RunState.COMPLETE, "", 3)
    out, into = {"in_usa": False}, {"in_lapsed_customers": True}
    assert held(standin) == {
        "alice@example.com": {"created_at": 636163200, "visits": 3, "is_vip": True, "in_usa": True, **into},
        "bob@example.com": {"visits": 0, "is_vip": False, **out, **into},
        "charlie@example.com": {**out, **into},
    }
    assert [person.id for person in standin.workspace.people] == ["1", "2", "3"]

    calls = len(standin.calls)
    assert not any(destinations.export(schedule).counters.values())
    assert len(standin.calls) == calls, "nothing changed, so nothing is sent"

    world.leave(bob, "vip")
    world.change(alice, visits=None)
    world.leave(alice, "vip")
    assert destinations.export(schedule).counters["sent"] == 2
    assert held(standin) == {
        "alice@example.com": {"created_at": 636163200, "is_vip": True, "in_usa": True, "in_lapsed_customers": False},
        "charlie@example.com": {**out, **into},
    }


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, standin: Standin) -> outbound.World:
    """The world of outbound events, with a Customer.io App aimed at the stand-in."""
    made = outbound.make_world(monkeypatch)
    made.app = apps_store.create_app("customerio", "Customer.io", options_for(standin), actor=SYSTEM)
    return made


def test_an_event_arrives_as_the_json_of_the_story(world: outbound.World, standin: Standin) -> None:
    world.subscribe(properties=("user_id", "first_name", "email"))
    take(event({"user_id": 3, "first_name": "Evan", "email": "evan@grouparoo.com"}))
    take(event({"user_id": 3, "cart_abandoned_at": "Jan 5, 2019", "cart_items": ["red shirt"]}, type="cart"))
    outbound.deliver()
    [arrived] = standin.workspace.events
    assert (arrived.identifiers, arrived.name) == ({"email": "evan@grouparoo.com"}, "cart")
    assert json.dumps(arrived.data) == json.dumps(STORY), "the order of keys counts too"


def test_whatever_customerio_does_it_ends_with_each_event_once_and_in_order(
    world: outbound.World, standin: Standin
) -> None:
    take(*(event({"user_id": number, "email": f"person{number}@example.com"}) for number in (1, 2, 3)))
    world.subscribe()
    take(*(outbound.cart(number % 3 + 1, number=number) for number in range(12)))
    kinds = ("throttle", "error", "garbage", "cut", "cut_after", "unavailable")
    standin.expect(*(Misbehaviour(kind, after="2" if kind == "throttle" else "") for kind in kinds))
    outbound.deliver(waits=10)
    assert outbound.states() == ["accepted"] * 12
    assert not standin.expected
    numbers = [int(arrived.data["number"]) for arrived in standin.workspace.events]
    assert sorted(numbers) == list(range(12))
    for person in range(3):
        assert [number for number in numbers if number % 3 == person] == list(range(person, 12, 3))


def test_wrong_keys_halt_an_export_until_a_person_has_put_in_the_right_ones(
    monkeypatch: pytest.MonkeyPatch, standin: Standin
) -> None:
    world = destinations.make_world(monkeypatch)
    for key, kind in (("visits", "integer"), ("is_vip", "boolean"), ("born_at", "date")):
        make_rule(key, kind)
    make_rule("user_id", "integer", is_unique=True, identity_rank=2)
    world.people({"user_id": 1, "email": "alice@example.com"})
    schedule = make_export(world, make_app(standin))
    right, standin.key = standin.key, "another"
    run = destinations.export(schedule)
    schedule.refresh_from_db()
    assert (run.state, schedule.halted_reason) == (RunState.FAILED, run.error)
    assert "does not accept the site ID and API key" in run.error
    assert right not in run.error
    standin.key = right
    schedules_store.resume(schedule.pk, actor=SYSTEM)
    assert destinations.export(schedule).counters["sent"] == 1
