"""Exports to a receiver of webhooks through the product: what is held there, also after calls without an answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from django.test import Client

from apps_connectors import apps_store, connections
from core.accounts.actors import SYSTEM
from core.accounts.models import Role
from core.lib.errors import InvalidInput
from plugins.contracts import Outcome
from schedules import schedules_store, sending
from schedules.models import RunState, Schedule
from schedules.schedules_store import ScheduleData
from tests.api.door import Program, assert_one_shape
from tests.plugins.webhook.people import hold, messages
from tests.receiver import Behaviour, Receiver, answer, cut, run_receiver
from tests.schedules.destinations import World, adds_up, export, make_due, make_world, start, work
from tests.ui.shop import make_user

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = [{"email": f"p{number}@example.com", "first_name": f"Person {number}"} for number in range(25)]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as receiver:
        yield receiver
    connections.close_all()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> World:
    world = make_world(monkeypatch)
    options = {"url": receiver.url, "secret": receiver.secret, "timeout": 5}
    world.app = apps_store.create_app("webhook", "Receiver", options, actor=SYSTEM)
    return world


def describe(world: World, **options: Any) -> ScheduleData:
    return ScheduleData(
        direction="export",
        name="people",
        app_id=world.app.pk,
        options={"key_field": "email", **options},
        fields={"email": "email", "name": "first_name"},
        groups={group.pk: group.name for group in world.groups.values()},
    )


def make_export(world: World, **options: Any) -> Schedule:
    return schedules_store.create_schedule(describe(world, **options), actor=SYSTEM)


def names(receiver: Receiver) -> dict[str, str]:
    return {key: held.profile["name"] for key, held in hold(receiver.deliveries).items()}


def ids(receiver: Receiver) -> list[str]:
    return [each.headers["idempotency-key"] for each in receiver.deliveries]


# ---------------------------------------------------------------- what is held


@pytest.mark.parametrize("at_once", [None, 10])
def test_everyone_s_last_state_is_what_is_held(world: World, receiver: Receiver, at_once: int | None) -> None:
    guids = world.people(*PEOPLE)
    schedule = make_export(world, at_once=at_once)
    run = export(schedule)
    assert (run.state, run.counters["sent"]) == (RunState.COMPLETE, 25)
    assert names(receiver) == {each["email"]: each["first_name"] for each in PEOPLE}
    world.change(guids[0], first_name="Alice")
    world.change(guids[1], email="bob@example.com")
    world.leave(guids[2], "vip")
    world.join(guids[3], "new")
    assert adds_up(export(schedule))
    held = hold(receiver.deliveries)
    assert len(held) == 24
    assert held["p0@example.com"].profile["name"] == "Alice"
    assert held["bob@example.com"].profile["name"] == "Person 1"
    assert held["p3@example.com"].groups == {"vip", "new"}
    assert len(list(messages(receiver.deliveries))) == 29  # each change once
    assert len(receiver.deliveries) == (29 if at_once is None else 4)


def test_one_bad_profile_among_many_is_rejected_alone(world: World, receiver: Receiver) -> None:
    def refuse_one(body: Any) -> Behaviour | None:
        return answer(422) if any(each["key"] == "p7@example.com" for each in body["profiles"]) else None

    receiver.judge = refuse_one
    world.people(*PEOPLE)
    run = export(make_export(world, at_once=500))
    assert adds_up(run)
    assert (run.counters["sent"], run.counters["rejected"]) == (24, 1)
    assert "p7@example.com" not in names(receiver)
    assert len(names(receiver)) == 24


def test_one_profile_on_which_the_receiver_stumbles_does_not_hold_up_the_others(
    world: World, receiver: Receiver
) -> None:
    def stumble(body: Any) -> Behaviour | None:
        return answer(500) if any(each["key"] == "p7@example.com" for each in body["profiles"]) else None

    receiver.judge = stumble
    world.people(*PEOPLE)
    run = work(start(make_export(world, at_once=500)), waits=4)
    assert adds_up(run)
    assert len(names(receiver)) == 24


# ---------------------------------------------------------------- without an answer


class Killed(BaseException):
    """Stands for the end of the worker's process: nothing after it runs."""


def die_after_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next batch is sent, and the worker ends before it can record the answer."""
    real: Callable[..., Sequence[Outcome]] = sending.deliver

    def deliver(*args: Any, **more: Any) -> Sequence[Outcome]:
        monkeypatch.setattr(sending, "deliver", real)
        real(*args, **more)
        raise Killed

    monkeypatch.setattr(sending, "deliver", deliver)


def test_what_a_killed_worker_had_sent_is_sent_again_with_the_same_keys(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.people(*PEOPLE)
    schedule = make_export(world)
    die_after_the_call(monkeypatch)
    run = start(schedule)
    with pytest.raises(Killed):
        work(run)
    before = ids(receiver)
    assert len(before) == 25
    make_due()
    work(run)
    assert run.state == RunState.COMPLETE
    assert adds_up(run)
    assert sorted(ids(receiver)) == sorted([*before, *before])
    assert len(names(receiver)) == 25


def test_a_call_without_an_answer_is_made_again_with_the_same_key_and_body(world: World, receiver: Receiver) -> None:
    world.people(PEOPLE[0])
    schedule = make_export(world)
    receiver.expect(cut())
    export(schedule)
    make_due()
    assert export(schedule).counters["sent"] == 1
    first, second = receiver.deliveries
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.body == second.body
    assert names(receiver) == {"p0@example.com": "Person 0"}


def test_an_update_in_doubt_is_sent_again_with_the_same_key_and_a_state_that_returns_with_a_new_one(
    world: World, receiver: Receiver
) -> None:
    (alice,) = world.people(PEOPLE[0])
    schedule = make_export(world)
    export(schedule)
    for name in ("Alice", "Alicia", "Alice", "Alicia"):
        world.change(alice, first_name=name)
        receiver.expect(cut())
        export(schedule)
        make_due()
        export(schedule)
        assert names(receiver) == {"p0@example.com": name}
    sent = ids(receiver)
    assert sent[1::2] == sent[2::2]
    assert len(set(sent)) == 5
    first, second = receiver.deliveries[-2:]
    assert first.body == second.body


def test_a_receiver_that_cuts_and_fails_now_and_then_ends_up_right(world: World, receiver: Receiver) -> None:
    guids = world.people(*PEOPLE)
    schedule = make_export(world, at_once=4)
    receiver.expect(answer(200), cut(), answer(500), answer(200), answer(503), cut())
    export_until_nothing_is_owed(schedule)
    world.change(guids[0], first_name="Alice")
    world.leave(guids[1], "vip")
    receiver.expect(answer(500), cut())
    export_until_nothing_is_owed(schedule)
    expected = {each["email"]: each["first_name"] for each in PEOPLE} | {"p0@example.com": "Alice"}
    del expected["p1@example.com"]
    assert names(receiver) == expected


def export_until_nothing_is_owed(schedule: Schedule) -> None:
    """Run after run, as retries are, each when its time has come."""
    for _ in range(12):
        run = export(schedule, waits=4)
        make_due()
        if not run.counters.get("owed"):
            return
    pytest.fail("something is owed after twelve runs")


# ---------------------------------------------------------------- the template, while it is written

BROKEN = '{"mail": "{{email}}", "what": {{action}}}'


def test_a_template_that_is_no_json_is_told_to_programs(world: World) -> None:
    data = describe(world, template=BROKEN)
    with pytest.raises(InvalidInput, match="The body template is not JSON") as caught:
        schedules_store.create_schedule(data, actor=SYSTEM)
    assert list(caught.value.fields) == ["options.template"]
    body = {"direction": "export", "name": "people", "app_id": world.app.pk, "options": data.options}
    body |= {"fields": data.fields, "everyone": True}
    response = Program("schedules:write").post(body, to="/api/v1/schedules/")
    error = assert_one_shape(response, 400, "invalid")
    assert "not JSON" in error["fields"]["options.template"]


def test_a_field_that_nothing_feeds_and_one_that_the_template_lacks_are_told(world: World) -> None:
    unknown = '{"mail": "{{email}}", "name": "{{name}}", "town": "{{town}}", "what": "{{action}}"}'
    with pytest.raises(InvalidInput, match="needs the field “town”"):
        make_export(world, template=unknown)
    with pytest.raises(InvalidInput, match="has no field “name”: it has email"):
        make_export(world, template='{"mail": "{{email}}", "what": "{{action}}"}')


def test_a_template_shapes_what_is_sent(world: World, receiver: Receiver) -> None:
    world.people(PEOPLE[0])
    template = json.dumps({"mail": "{{email}}", "name": "{{name}}", "what": "{{action}}", "tags": "{{groups}}"})
    export(make_export(world, template=template))
    assert [each.json for each in receiver.deliveries] == [
        {"mail": "p0@example.com", "name": "Person 0", "what": "upsert", "tags": ["vip"]}
    ]


def test_the_form_says_what_is_wrong_with_a_template_beside_it(world: World, client: Client) -> None:
    client.force_login(make_user(Role.EDITOR))
    address = f"/schedules/new/export/{world.app.pk}/"
    assert b"Body template" in client.get(address).content
    form = {"option-template": BROKEN, "whom": "everyone", "mode": "sync", "rhythm": "hand", "to-email": "email"}
    form |= {"key_field": "email", "name": "people"}
    page = client.post(address, form)
    assert page.status_code == 422
    assert "option-template" in page.context["form"].errors
    assert not Schedule.objects.exists()


def test_an_app_that_only_receives_cannot_be_exported_to(world: World) -> None:
    world.app = apps_store.create_app("webhook", "Only receives", {}, actor=SYSTEM)
    with pytest.raises(InvalidInput, match="only receives: give it a URL and a signing secret"):
        make_export(world)
