"""People: how accounts are made and changed, and what is written down about it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest
from django.contrib.auth import authenticate, get_user
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from pytest_django import Settings

from core.accounts import people
from core.accounts.actors import SYSTEM, Actor
from core.accounts.models import AuditEntry, Role, User
from core.lib.errors import InvalidInput, NotFound, Refused
from tests.accounts.factories import PASSWORD, make_alice, make_bob, make_charlie, make_user

pytestmark = pytest.mark.django_db


def test_an_address_is_kept_in_lower_case_and_signs_in() -> None:
    user = people.create_user(" Alice@Example.COM ", password=PASSWORD, role="admin", actor=SYSTEM)
    assert user.email == "alice@example.com"
    assert authenticate(username="alice@example.com", password=PASSWORD) == user


@pytest.mark.parametrize(
    ("email", "password", "role", "field"),
    [
        ("not an address", PASSWORD, "viewer", "email"),
        ("bob@example.com", "short", "viewer", "password"),
        ("bob@example.com", "password1234", "viewer", "password"),
        ("bob@example.com", PASSWORD, "owner", "role"),
    ],
)
def test_what_cannot_be_used_is_named_and_makes_nobody(email: str, password: str, role: str, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        people.create_user(email, password=password, role=role, actor=SYSTEM)
    assert field in caught.value.fields
    assert not User.objects.exists()


def test_two_people_cannot_have_one_address() -> None:
    make_bob()
    with pytest.raises(InvalidInput, match="already"):
        people.create_user("BOB@example.com", password=PASSWORD, role="viewer", actor=SYSTEM)


def test_every_change_of_a_person_is_in_the_audit_log_with_who_and_what_but_no_password() -> None:
    alice, bob = make_alice(), make_bob()
    people.set_role(bob.pk, "admin", actor=Actor.person(alice))
    people.set_password(bob.pk, "another long walk by the sea", actor=Actor.person(alice))
    entries = list(AuditEntry.objects.filter(subject_kind="person", subject_id=str(bob.pk)).order_by("id"))
    assert [entry.action for entry in entries] == ["person.create", "person.update", "person.set_password"]
    assert (entries[1].before, entries[1].after) == ({"role": "editor"}, {"role": "admin"})
    assert (entries[1].actor_kind, entries[1].actor_id, entries[1].actor_label) == ("person", alice.pk, "Alice")
    assert "walk" not in str([entry.before for entry in entries] + [entry.after for entry in entries])


def test_a_change_that_changes_nothing_is_not_written_down() -> None:
    bob = make_bob()
    people.set_role(bob.pk, "editor", actor=SYSTEM)
    assert AuditEntry.objects.filter(action="person.update").count() == 0


def test_the_last_admin_stays_one() -> None:
    alice = make_alice()
    with pytest.raises(Refused, match="last admin"):
        people.set_role(alice.pk, "viewer", actor=SYSTEM)
    with pytest.raises(Refused, match="last admin"):
        people.set_active(alice.pk, False, actor=SYSTEM)
    alice.refresh_from_db()
    assert (alice.role, alice.is_active) == (Role.ADMIN, True)


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_demote_each_other_at_the_same_time_leave_one() -> None:
    alice, also = make_alice(), make_user("Bob", role=Role.ADMIN)

    def demote(user_id: int) -> bool:
        try:
            people.set_role(user_id, "viewer", actor=SYSTEM)
        except Refused:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(demote, [alice.pk, also.pk]))
    assert sorted(done) == [False, True]
    assert User.objects.filter(role=Role.ADMIN).count() == 1


def test_someone_switched_off_is_signed_out_and_cannot_sign_in() -> None:
    make_alice()
    charlie = make_charlie()
    client = Client()
    client.force_login(charlie)
    assert get_user(client) == charlie
    people.set_active(charlie.pk, False, actor=SYSTEM)
    assert get_user(client).is_anonymous
    assert authenticate(username=charlie.email, password=PASSWORD) is None


def test_a_changed_password_ends_other_sessions() -> None:
    charlie = make_charlie()
    client = Client()
    client.force_login(charlie)
    assert get_user(client) == charlie
    people.set_password(charlie.pk, "another long walk by the sea", actor=SYSTEM)
    assert get_user(client).is_anonymous


def test_someone_who_does_not_exist_is_not_found() -> None:
    with pytest.raises(NotFound):
        people.set_role(12345, "viewer", actor=SYSTEM)


def test_the_command_makes_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUPAROO_USER_PASSWORD", PASSWORD)
    said = StringIO()
    call_command("createuser", email="alice@example.com", role="admin", stdout=said)
    assert authenticate(username="alice@example.com", password=PASSWORD)
    assert "alice@example.com can sign in as admin" in said.getvalue()


def test_the_command_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUPAROO_USER_PASSWORD", "short")
    with pytest.raises(CommandError, match="too short"):
        call_command("createuser", email="alice@example.com", role="admin")


# ---------------------------------------------------------------- the first of all


def test_the_first_visitor_becomes_the_admin_and_the_door_shuts(client: Client, settings: Settings) -> None:
    settings.FIRST_ADMIN_IN_BROWSER = True
    assert client.get("/", follow=True).request["PATH_INFO"] == "/welcome/"
    wrong = client.post("/welcome/", {"email": "alice@example.com", "password": "short"})
    assert wrong.status_code == 422
    assert "alice@example.com" in wrong.content.decode(), "what was typed is kept"
    response = client.post("/welcome/", {"email": "Alice@example.com", "password": PASSWORD})
    assert response.headers["Location"] == "/"
    assert User.objects.get().role == Role.ADMIN
    assert get_user(client).is_authenticated
    stranger = Client()
    for _ in range(2):
        answer = stranger.post("/welcome/", {"email": "eve@example.com", "password": PASSWORD})
        assert answer.headers["Location"] == "/sign-in/"
    assert stranger.get("/sign-in/").status_code == 200
    assert User.objects.count() == 1


def test_where_it_is_switched_off_the_sign_in_page_says_how_to_begin(client: Client, settings: Settings) -> None:
    settings.FIRST_ADMIN_IN_BROWSER = False
    assert "manage.py createuser" in client.get("/sign-in/").content.decode()
    assert client.post("/welcome/", {"email": "eve@example.com", "password": PASSWORD}).status_code == 302
    assert not User.objects.exists()
    make_alice()
    assert "createuser" not in client.get("/sign-in/").content.decode()


@pytest.mark.django_db(transaction=True)
def test_of_many_first_visitors_at_the_same_time_one_becomes_the_admin(settings: Settings) -> None:
    settings.FIRST_ADMIN_IN_BROWSER = True

    def come(number: int) -> bool:
        try:
            people.create_first_admin(f"visitor{number}@example.com", password=PASSWORD)
        except Refused:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as visitors:
        assert sum(visitors.map(come, range(8))) == 1
    assert User.objects.count() == 1
