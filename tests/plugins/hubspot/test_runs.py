"""An export run through the product, against a HubSpot that fails time and again: in the end all is as it should be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from apps_connectors import apps_store, connections
from core.accounts.actors import SYSTEM
from schedules import schedules_store
from schedules.models import RunState, Schedule
from tests.factories import make_rule
from tests.plugins.hubspot.account import Account
from tests.plugins.hubspot.standin import Misbehaviour, Standin
from tests.schedules.destinations import World, adds_up, export, make_world

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = [
    {"email": f"person{number}@example.com", "first_name": f"Person {number}", "visits": number}
    for number in range(230)
]
BAD = {"email": "someone@fake.invalid", "first_name": "Nobody"}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, standin: Standin) -> Iterator[World]:
    world = make_world(monkeypatch)
    make_rule("visits", "integer")
    options = {"access_token": standin.account.token, "server_url": standin.url}
    world.app = apps_store.create_app("hubspot", "HubSpot", options, actor=SYSTEM)
    yield world
    connections.close_all()


def make_export(world: World) -> Schedule:
    data = schedules_store.ScheduleData(
        direction="export",
        name="contacts",
        app_id=world.app.pk,
        options={"key_field": "email"},
        fields={"email": "email", "firstname": "first_name", "visits": "visits"},
        groups={world.groups["vip"].pk: "vip", world.groups["new"].pk: "New people"},
    )
    return schedules_store.create_schedule(data, actor=SYSTEM)


def expected_contact(person: dict[str, Any]) -> dict[str, str]:
    """A person as HubSpot holds them."""
    return {"email": person["email"], "firstname": person["first_name"], "visits": str(person["visits"])}


def hold(account: Account, people: list[dict[str, Any]]) -> None:
    """Check that the account holds exactly these people, all of them in the list `vip`."""
    emails = {person["email"] for person in people}
    assert account.emails() == emails == account.members("vip")
    assert [account.get(person["email"]) for person in people] == [expected_contact(person) for person in people]
    assert len([each for each in account.contacts.values() if not each.is_archived]) == len(people)


def test_whatever_hubspot_answers_it_holds_what_it_should_in_the_end(standin: Standin, world: World) -> None:
    guids = world.people(*PEOPLE, BAD)
    schedule = make_export(world)
    standin.expect(
        Misbehaviour("throttle", after=1, only="batch/read"),
        Misbehaviour("cut_after", only="batch/create"),
        Misbehaviour("error", only="name/vip"),
        Misbehaviour("garbage", only="batch/update"),
        Misbehaviour("cut_after", only="memberships"),
        Misbehaviour("daily", only="batch/create"),
    )
    run = export(schedule, waits=8)
    assert not standin.expected
    assert (run.state, run.error) == (RunState.COMPLETE, "")
    assert adds_up(run)
    assert (run.counters["sent"], run.counters["rejected"]) == (230, 1)
    hold(standin.account, PEOPLE)

    for guid in guids[:30]:
        world.leave(guid, "vip")
    world.change(guids[30], email="new30@example.com", first_name="Alice")
    standin.expect(Misbehaviour("cut_after", only="batch/archive"), Misbehaviour("gateway", only="batch/update"))
    run = export(schedule, waits=8)
    assert not standin.expected
    assert (run.state, adds_up(run)) == (RunState.COMPLETE, True)
    hold(standin.account, [{**PEOPLE[30], "email": "new30@example.com", "first_name": "Alice"}, *PEOPLE[31:]])
    standin.calls.clear()
    assert not any(export(schedule).counters.values())
    assert standin.calls == []


def test_a_missing_scope_halts_the_export_by_name_and_loses_nothing(standin: Standin, world: World) -> None:
    world.people(*PEOPLE[:3])
    schedule = make_export(world)
    standin.account.scopes.discard("crm.lists.write")
    run = export(schedule)
    schedule.refresh_from_db()
    assert run.state == RunState.FAILED
    assert "crm.lists.write" in schedule.halted_reason
    standin.account.scopes.add("crm.lists.write")
    schedules_store.resume(schedule.pk, actor=SYSTEM)
    assert export(schedule).counters["sent"] == 3
    hold(standin.account, PEOPLE[:3])
