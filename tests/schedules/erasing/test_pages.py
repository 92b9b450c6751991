"""The pages and the API of erasures, and everything of a person as one file."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from core.accounts.models import AuditEntry, Role
from core.work.models import Work
from plugins.contracts import Outcome, OutcomeKind
from schedules.erasing.models import Erasure
from tests.accounts.factories import make_user
from tests.api.door import Program, assert_one_shape
from tests.everywhere import find_everywhere
from tests.schedules.destinations import make_due
from tests.schedules.erasing.world import ALICE, DEVICE, TRACES, World, finish, send, shelf, work
from tests.ui.test_pages import read


@pytest.fixture
def admin(world: World, client: Client) -> Client:
    client.force_login(make_user("Charlie", role=Role.ADMIN))
    return client


def call(program: Program, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {program.token}"}
    data = b"" if body is None else json.dumps(body).encode()
    return program.client.generic(method, path, data, content_type="application/json", headers=headers)


def test_an_admin_sees_what_would_go_and_types_the_word(world: World, admin: Client) -> None:
    world.export(mode="additive")
    page = read(admin.get(f"/erasures/new/{world.alice}/"))
    for words in ("Identities 2", "Events 1", "Memberships 1", "people To Memory. The export never removes"):
        assert words in page
    assert admin.post(f"/erasures/new/{world.alice}/", {"word": "yes"}).status_code == 422
    assert not Erasure.objects.exists()
    answer = admin.post(f"/erasures/new/{world.alice}/", {"word": " Erase "}, follow=True)
    assert "nothing that names this person is taken in" in read(answer)
    assert "Being erased" in read(admin.get(f"/erasures/of-profile/{world.alice}/"))
    assert "They are being erased already" in read(admin.get(f"/erasures/new/{world.alice}/"))
    erasure = finish(Erasure.objects.get())
    proof = read(admin.get(f"/erasures/{erasure.pk}/"))
    for words in (f"Proof of erasure {erasure.pk}", "people (Memory) Removed", "By Charlie", "Profiles 1", "Events 1"):
        assert words in proof
    assert "Done" in read(admin.get("/erasures/"))
    assert admin.get(f"/profiles/{world.alice}/").status_code == 404
    assert AuditEntry.objects.get(action="person.erase").subject_label == f"erasure {erasure.pk}"
    assert find_everywhere(TRACES) == {}


def test_a_destination_that_refuses_is_shown_and_settled_by_hand(world: World, admin: Client) -> None:
    schedule = world.export()
    shelf(schedule).answer = lambda item: Outcome(OutcomeKind.REJECT, "On a legal hold.")
    erasure = world.erase()
    for _ in range(3):
        make_due()
        work()
    page = read(admin.get(f"/erasures/{erasure.pk}/"))
    assert "Waits for a destination" in page
    assert "On a legal hold. Asked 1 time. Again in" in page
    destination = erasure.destinations.get()
    url = f"/erasures/{erasure.pk}/by-hand/{destination.pk}/"
    assert "may not name the person" in read(admin.post(url, {"reason": f"Took {ALICE} out."}))
    assert "counts as done" in read(admin.post(url, {"reason": "Took them out in its console."}, follow=True))
    finish(erasure)
    proof = read(admin.get(f"/erasures/{erasure.pk}/"))
    assert "by Charlie: Took them out in its console." in proof
    assert "legal hold" not in proof


def test_editors_see_neither_buttons_nor_pages(world: World, client: Client) -> None:
    client.force_login(make_user("Bob", role=Role.EDITOR))
    shown = client.get(f"/erasures/of-profile/{world.alice}/").content.decode()
    assert "An admin can" in shown
    assert "/erasures/new/" not in shown
    for url in ("/erasures/", f"/erasures/new/{world.alice}/", f"/erasures/person/{world.alice}.json"):
        assert client.get(url).status_code == 403
    assert client.post(f"/erasures/new/{world.alice}/", {"word": "erase"}).status_code == 403


def test_everything_of_a_person_is_one_file(world: World, admin: Client) -> None:
    schedule = world.export()
    send({"email": ALICE, "first_name": "Lewis", "order": {"sku": "red shirt"}})
    answer = admin.get(f"/erasures/person/{world.alice}.json")
    assert f"person-{world.alice}.json" in answer["Content-Disposition"]
    found = json.loads(answer.getvalue())
    values = {each["key"]: (each["value"], each["source"]) for each in found["profile"]["details"]}
    assert values["first_name"] == ("Lewis", "Events")
    assert {(each["property"], each["value"]) for each in found["identities"]} == {
        ("email", ALICE),
        ("_anonymous_id", DEVICE),
    }
    assert [each["payload"].get("order") for each in found["events"]] == [None, {"sku": "red shirt"}]
    assert found["changes"][-1]["changes"]["first_name"] == ["Liddell-Wonder", "Lewis"]
    assert [(each["name"], each["reasons"]) for each in found["groups"]] == [("vip", [])]
    assert [each["joined"] for each in found["memberships"]] == [True]
    assert [(each["schedule"], each["key"]) for each in found["exports"]] == [(schedule.name, ALICE)]
    assert [each["kind"] for each in found["sent"]] == ["created"]
    assert {"outbound_events", "merges", "hydration_retries", "merged_profiles"} <= found.keys()


def test_programs_erase_with_a_scope_of_its_own(world: World) -> None:
    schedule = world.export()
    program, reader = Program("privacy:write"), Program("privacy:read")
    counts = call(reader, "GET", f"/api/v1/profiles/{world.alice}/erasure-preview/").json()
    assert (counts["counts"]["events"], [each["name"] for each in counts["destinations"]]) == (1, ["people"])
    everything = call(reader, "GET", f"/api/v1/profiles/{world.alice}/everything/")
    assert json.loads(everything.getvalue())["profile"]["id"] == str(world.alice)
    assert call(reader, "POST", "/api/v1/erasures/", {"profile_id": str(world.alice)}).status_code == 403
    assert call(Program("profiles:write"), "POST", "/api/v1/erasures/", {}).status_code == 403
    made = call(program, "POST", "/api/v1/erasures/", {"profile_id": str(world.alice)})
    assert made.status_code == 202
    assert_one_shape(call(program, "POST", "/api/v1/erasures/", {"profile_id": str(world.alice)}), 409, "refused")
    finish(Erasure.objects.get())
    proof = call(reader, "GET", f"/api/v1/erasures/{made.json()['id']}/").json()
    assert proof["finished_at"]
    assert [(each["name"], each["state"]) for each in proof["destinations"]] == [("people (Memory)", "removed")]
    assert all(each["ended_at"] for each in proof["steps"])
    assert [each["id"] for each in call(reader, "GET", "/api/v1/erasures/").json()["results"]] == [proof["id"]]
    assert_one_shape(call(program, "POST", "/api/v1/erasures/", {"profile_id": str(world.alice)}), 404, "not_found")
    by_hand = f"/api/v1/erasures/{proof['id']}/destinations/{proof['destinations'][0]['id']}/by-hand/"
    assert_one_shape(call(program, "POST", by_hand, {"reason": "Again."}), 409, "refused")
    assert str(world.alice) not in json.dumps(proof)
    assert set(shelf(schedule).rows) == {"bob@example.com"}
    assert not Work.objects.filter(subject=str(world.alice)).exists()
