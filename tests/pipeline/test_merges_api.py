"""Merging, undoing, and a profile as it was known at a time: by programs, and the past on its page."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse

from core.accounts.models import AuditEntry
from profiles.models import Profile, ProfileChange
from tests.accounts.factories import make_charlie
from tests.api.door import Program
from tests.pipeline.people import event, shop_rules, take

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def program() -> Program:
    shop_rules()
    return Program("profiles:write")


def call(program: Program, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {program.token}"}
    return program.client.generic(
        method, f"/api/v1/{path}", "" if body is None else json.dumps(body), "application/json", headers=headers
    )


def two_people() -> tuple[UUID, UUID]:
    take(event({"user_id": 1, "first_name": "Alice"}), event({"email": "alice@example.com", "age": 41}, at=1))
    first, second = Profile.objects.order_by("guid").values_list("guid", flat=True)
    return first, second


def test_a_program_merges_two_people_and_makes_them_two_again(program: Program) -> None:
    winner, loser = two_people()
    made = call(program, "POST", f"profiles/{winner}/merge/", {"loser": str(loser)})
    assert made.status_code == 200, made.content
    assert (made.json()["winner_id"], made.json()["loser_id"]) == (str(winner), str(loser))
    assert made.json()["cause"].startswith("api_key:")
    whole = call(program, "GET", f"profiles/{winner}/").json()["properties"]
    assert whole == {"user_id": 1, "first_name": "Alice", "email": "alice@example.com", "age": 41}
    assert call(program, "POST", f"profiles/{winner}/merge/", {"loser": str(loser)}).status_code == 409
    for guid in (winner, loser):
        [told] = call(program, "GET", f"profiles/{guid}/merges/").json()["results"]
        assert (told["id"], told["undone_at"]) == (made.json()["id"], None)

    undone = call(program, "POST", f"merges/{made.json()['id']}/undo/")
    assert undone.status_code == 200
    assert undone.json()["undone_at"]
    assert call(program, "GET", f"profiles/{winner}/").json()["properties"] == {"user_id": 1, "first_name": "Alice"}
    assert call(program, "POST", f"merges/{made.json()['id']}/undo/").status_code == 409
    actions = AuditEntry.objects.filter(action__contains="merge").order_by("id").values_list("action", flat=True)
    assert list(actions) == ["profile.merge", "profile.unmerge"]


def test_a_profile_is_shown_as_it_was_known_at_any_time(program: Program, client: Client) -> None:
    winner, loser = two_people()
    take(event({"user_id": 1, "first_name": "Ally", "age": 40}, at=2))
    take(event({"user_id": 1, "age": None}, at=3))
    call(program, "POST", f"profiles/{winner}/merge/", {"loser": str(loser)})
    times = list(ProfileChange.objects.filter(profile_id=winner).order_by("id").values_list("at", flat=True))
    known = [
        {"user_id": 1, "first_name": "Alice"},
        {"user_id": 1, "first_name": "Ally", "age": 40},
        {"user_id": 1, "first_name": "Ally"},
        {"user_id": 1, "first_name": "Ally", "email": "alice@example.com"},
    ]
    client.force_login(make_charlie())
    assert len(times) == len(known)
    for at, values in zip(times, known, strict=True):
        told = call(program, "GET", f"profiles/{winner}/as-of/?at={at.isoformat().replace('+', '%2B')}").json()
        assert (told["properties"], told["is_certain"]) == (values, True)
        page = client.get(reverse("profiles:past", args=[winner]), {"at": at.isoformat()}).content.decode()
        assert ("Alice" in page) is (values["first_name"] == "Alice")
        assert "Ally" in page  # as it is now, beside it
    before = call(program, "GET", f"profiles/{winner}/as-of/?at=2020-01-31T12:00:00Z").json()
    assert before["properties"] is None


@pytest.mark.parametrize("at", ["2026-02-30T12:00", "2026-13-01T12:00", "yesterday", "\0"])
def test_what_is_no_time_is_said_to_be_none(program: Program, client: Client, at: str) -> None:
    winner, _ = two_people()
    client.force_login(make_charlie())
    page = client.get(reverse("profiles:past", args=[winner]), {"at": at})
    assert page.status_code == 200
    assert "This is not a time" in page.content.decode()
