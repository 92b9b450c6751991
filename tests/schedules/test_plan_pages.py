"""The pages and the API of plans, of sending again, and of what was sent."""

from __future__ import annotations

import pytest
from django.test import Client

from core.accounts.actors import Actor
from core.accounts.models import Role
from plugins.contracts import ACCEPTED, Outcome, OutcomeKind
from profiles.models import ProfileIdentity
from schedules import exporting, plans
from schedules.models import Run, RunState, Schedule
from tests.schedules.destinations import Memory, Shelf, World, export, make_world, wait_for_horizon, work
from tests.ui.shop import make_user

pytestmark = pytest.mark.django_db(transaction=True)

ALICE = {"email": "alice@example.com", "first_name": "Alice"}
BOB = {"email": "bob@example.com", "first_name": "Bob"}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(monkeypatch)


@pytest.fixture
def editor() -> Client:
    client = Client()
    client.force_login(make_user(Role.EDITOR))
    return client


def shelf() -> Shelf:
    return Memory.shelves["people"]


def newest() -> Run:
    return Run.objects.latest("id")


def read(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200, answer.content
    return " ".join(answer.content.decode().split())


def test_someone_looks_first_and_sends_exactly_that(world: World, editor: Client) -> None:
    alice, bob = world.people(ALICE, BOB)
    schedule = world.export()
    export(schedule)
    world.change(alice, first_name="Alicia")
    world.leave(bob, "vip")
    wait_for_horizon()
    editor.post(f"/schedules/{schedule.pk}/dry-run/")
    run = work(newest())
    assert "Look at it, and decide" in read(editor, f"/runs/{run.pk}/")
    page = read(editor, f"/runs/{run.pk}/plan/")
    assert "<del>Alice</del>" in page
    assert "<ins>Alicia</ins>" in page
    assert "Left vip" in page
    assert "Send, and remove 1 person" in page
    assert "bob@example.com" in b"".join(editor.get(f"/runs/{run.pk}/plan.csv").streaming_content).decode()  # type: ignore[attr-defined]
    assert "alice@example.com" not in read(editor, f"/runs/{run.pk}/plan/?kind=removed")
    editor.post(f"/runs/{run.pk}/plan/send/")
    assert work(newest()).state == RunState.COMPLETE
    assert list(shelf().rows) == ["alice@example.com"]
    assert "out of date" in read(editor, f"/runs/{run.pk}/plan/")


def test_a_plan_is_discarded_on_its_page(world: World, editor: Client) -> None:
    world.people(ALICE)
    schedule = world.export()
    editor.post(f"/schedules/{schedule.pk}/dry-run/")
    wait_for_horizon()
    run = work(newest())
    editor.post(f"/runs/{run.pk}/plan/discard/")
    assert "This plan was discarded" in read(editor, f"/runs/{run.pk}/plan/")
    editor.post(f"/runs/{run.pk}/plan/send/")
    assert newest().pk == run.pk
    assert shelf().calls == []


def test_people_and_times_are_sent_again_from_pages(world: World, editor: Client) -> None:
    alice, _ = world.people(ALICE, BOB)
    schedule = world.export()
    export(schedule)
    shelf().rows.clear()
    wait_for_horizon()
    editor.post(f"/schedules/{schedule.pk}/again/{alice}/")
    work(newest())
    assert list(shelf().rows) == ["alice@example.com"]
    assert "everything, once more" in read(editor, f"/schedules/sent/{alice}/")
    form = {"which": "time", "since": "2020-01-01T00:00", "until": "", "count": "1"}
    counted = editor.post(f"/schedules/{schedule.pk}/again/", form).content.decode()
    assert "2 people" in " ".join(counted.split())
    assert "Say from when on." in editor.post(f"/schedules/{schedule.pk}/again/", {"which": "time"}).content.decode()
    del form["count"]
    editor.post(f"/schedules/{schedule.pk}/again/", form)
    work(newest())
    assert set(shelf().rows) == {"alice@example.com", "bob@example.com"}
    assert exporting.find_due() == []


def test_whom_the_destination_refused_is_found_and_tried_again(world: World, editor: Client) -> None:
    alice, bob = world.people(ALICE, BOB)
    ProfileIdentity.objects.create(rule=world.rules["email"], value="alice@example.com", profile_id=alice)
    schedule = world.export()
    shelf().answer = lambda item: Outcome(OutcomeKind.REJECT, "Not Bob.") if item.new["name"] == "Bob" else ACCEPTED  # type: ignore[index]
    export(schedule)
    page = read(editor, f"/schedules/{schedule.pk}/people/?state=rejected")
    assert "Not Bob." in page
    assert "alice@example.com" not in page
    assert "alice@example.com" in read(editor, f"/schedules/{schedule.pk}/people/?q=ALI")
    assert "bob@example.com" in read(editor, f"/schedules/{schedule.pk}/people/?q=Bob@example.com")
    assert "Nobody fits" in read(editor, f"/schedules/{schedule.pk}/people/?q=zoe")
    shelf().answer = Shelf().answer
    wait_for_horizon()
    editor.post(f"/schedules/{schedule.pk}/people/again/", {"ids": [str(bob)]})
    work(newest())
    assert set(shelf().rows) == {"alice@example.com", "bob@example.com"}
    editor.post(f"/schedules/{schedule.pk}/people/again/", {})
    assert Run.objects.count() == 2


def test_the_same_goes_over_http(world: World, editor: Client) -> None:
    alice, bob = world.people(ALICE, BOB)
    schedule = world.export()
    export(schedule)
    world.change(alice, first_name="Alicia")
    world.leave(bob, "vip")
    wait_for_horizon()
    started = editor.post(f"/api/v1/schedules/{schedule.pk}/dry-run/", content_type="application/json")
    assert started.status_code == 201
    run = work(Run.objects.get(pk=started.json()["id"]))
    plan = editor.get(f"/api/v1/runs/{run.pk}/plan/").json()
    assert (plan["created"], plan["updated"], plan["removed"], plan["afterwards"]) == (0, 1, 1, 1)
    first = editor.get(f"/api/v1/runs/{run.pk}/plan/rows/", {"limit": 1}).json()
    assert first["results"] == [
        {
            "profile_id": str(alice),
            "action": "updated",
            "key": "alice@example.com",
            "differences": [{"field": "name", "before": "Alice", "after": "Alicia"}],
        }
    ]
    rest = editor.get(f"/api/v1/runs/{run.pk}/plan/rows/", {"after": first["next"]}).json()
    assert [row["action"] for row in rest["results"]] == ["removed"]
    assert rest["next"] is None
    sent = editor.post(f"/api/v1/runs/{run.pk}/plan/send/", content_type="application/json")
    assert sent.status_code == 201
    work(Run.objects.get(pk=sent.json()["id"]))
    assert editor.post(f"/api/v1/runs/{run.pk}/plan/send/", content_type="application/json").status_code == 409
    body = {"profiles": [str(alice)]}
    again = editor.post(f"/api/v1/schedules/{schedule.pk}/send-again/", body, content_type="application/json")
    assert again.status_code == 201
    work(Run.objects.get(pk=again.json()["id"]))
    log = editor.get(f"/api/v1/profiles/{alice}/sent/").json()["results"]
    assert [(row["action"], row["after"]["name"]) for row in log] == [
        ("updated", "Alicia"),
        ("updated", "Alicia"),
        ("created", "Alice"),
    ]
    nothing = editor.post(f"/api/v1/schedules/{schedule.pk}/send-again/", {}, content_type="application/json")
    assert nothing.status_code == 400


def test_an_import_has_no_dry_run_of_this_kind(world: World, editor: Client) -> None:
    answer = editor.post("/api/v1/schedules/987654/dry-run/", content_type="application/json")
    assert answer.status_code == 404


def test_an_export_that_was_saved_to_look_first_is_on_once_its_plan_is_sent(world: World, editor: Client) -> None:
    world.people(ALICE, BOB)
    schedule = world.export()
    Schedule.objects.filter(pk=schedule.pk).update(enabled=False)
    actor = Actor.person(make_user(Role.EDITOR, email="carol@example.com"))
    plans.start(schedule.pk, actor=actor, switches_on=True)
    wait_for_horizon()
    run = work(newest())
    assert "sending switches it on" in read(editor, f"/runs/{run.pk}/plan/")
    assert not Schedule.objects.get(pk=schedule.pk).enabled
    editor.post(f"/runs/{run.pk}/plan/send/")
    assert Schedule.objects.get(pk=schedule.pk).enabled
    assert work(newest()).state == RunState.COMPLETE
    assert set(shelf().rows) == {"alice@example.com", "bob@example.com"}


def test_one_that_was_switched_off_by_a_person_stays_off_when_a_plan_is_sent(world: World, editor: Client) -> None:
    world.people(ALICE)
    schedule = world.export()
    Schedule.objects.filter(pk=schedule.pk).update(enabled=False)
    editor.post(f"/schedules/{schedule.pk}/dry-run/")
    wait_for_horizon()
    run = work(newest())
    editor.post(f"/runs/{run.pk}/plan/send/")
    schedule.refresh_from_db()
    assert not schedule.enabled
