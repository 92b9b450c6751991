"""The team over HTTP: invitations, second factors, the setting that wants them, and time zones."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from core.accounts import project, two_factor
from core.accounts.models import AuditEntry, Invitation, User
from tests.accounts.factories import PASSWORD, make_alice, make_bob
from tests.accounts.test_two_factor import set_up
from tests.api.door import Program, assert_one_shape
from tests.mailserver import run_mail_server, use

pytestmark = pytest.mark.django_db

INVITATIONS = "/api/v1/invitations/"
BOB = {"email": "bob@example.com", "role": "editor"}


@pytest.fixture
def program() -> Program:
    """A program that may change the team."""
    return Program("team:write")


def call(program: Program, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {program.token}"}
    return program.client.generic(
        method, path, b"" if body is None else json.dumps(body), content_type="application/json",
        headers=headers,
    )  # fmt: skip


def test_without_email_the_answer_holds_the_link_once(program: Program) -> None:
    made = program.post(BOB, to=INVITATIONS)
    assert made.status_code == 201
    link = made.json()["link"]
    listed = call(program, "GET", INVITATIONS).json()["results"]
    assert [(each["email"], each["role"], each["accepted_at"]) for each in listed] == [
        ("bob@example.com", "editor", None)
    ]
    assert "link" not in listed[0]
    joined = Client().post(urlsplit(link).path, {"name": "Bob", "password": PASSWORD})
    assert joined.status_code == 302
    assert User.objects.get().role == "editor"
    assert AuditEntry.objects.get(action="invitation.create").actor_label == "API key web shop"


def test_with_email_it_is_sent_and_the_answer_holds_no_link_unless_that_fails(program: Program, settings: Any) -> None:
    with run_mail_server() as server:
        use(settings, server)
        made = program.post(BOB, to=INVITATIONS).json()
        assert made["link"] is None
        assert [letter["To"] for letter in server.letters] == ["bob@example.com"]
        server.refuses = b"550 5.1.1 No such mailbox"
        again = program.post({}, to=f"{INVITATIONS}{made['id']}/send-again/").json()
        assert "/invitation/" in again["link"]
    assert Client().get(urlsplit(again["link"]).path).status_code == 200


def test_an_invitation_is_revoked_once(program: Program) -> None:
    made = program.post(BOB, to=INVITATIONS).json()
    place = f"{INVITATIONS}{made['id']}/"
    assert call(program, "DELETE", place).status_code == 204
    assert Client().get(urlsplit(made["link"]).path).status_code == 404
    assert_one_shape(call(program, "DELETE", place), 409, "refused")
    assert_one_shape(program.post({}, to=f"{place}send-again/"), 409, "refused")
    assert_one_shape(call(program, "DELETE", f"{INVITATIONS}987654321/"), 404, "not_found")
    assert_one_shape(program.post({"email": "nobody", "role": "editor"}, to=INVITATIONS), 400, "invalid")
    assert Invitation.objects.count() == 1


def test_a_second_factor_is_told_and_turned_off(program: Program) -> None:
    bob = make_bob()
    set_up(bob)
    make_alice()
    listed = call(program, "GET", "/api/v1/people/").json()["results"]
    assert {each["name"]: each["has_two_factor"] for each in listed} == {"Bob": True, "Alice": False}
    assert call(program, "DELETE", f"/api/v1/people/{bob.pk}/two-factor/").status_code == 204
    assert not two_factor.is_on(bob.pk)


def test_the_setting_and_a_time_zone_are_changed(program: Program) -> None:
    bob = make_bob()
    place = f"/api/v1/people/{bob.pk}/"
    assert call(program, "PATCH", place, {"time_zone": "Asia/Tokyo"}).json()["time_zone"] == "Asia/Tokyo"
    wrong = assert_one_shape(call(program, "PATCH", place, {"time_zone": "Mars"}), 400, "invalid")
    assert list(wrong["fields"]) == ["time_zone"]
    assert call(program, "PATCH", "/api/v1/settings/", {"two_factor_required": True}).json()["two_factor_required"]
    project.forget()
    assert project.current().two_factor_required
