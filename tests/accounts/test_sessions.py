"""Sessions: whose they are, where and when they were used, how they end; and how little that writes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.accounts import people, sessions
from core.accounts.actors import SYSTEM
from core.accounts.models import AuditEntry, Session, User
from core.ui.browsers import name_browser
from grouparoo.tasks import keep_house
from tests.accounts.factories import make_alice, make_bob, make_charlie, make_key

pytestmark = pytest.mark.django_db

MOZILLA = "Mozilla/5.0"
FIREFOX = f"{MOZILLA} (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


def sign_in(user: User, *, address: str = "10.0.0.1", agent: str = FIREFOX) -> Client:
    """A browser of this person that has opened a page."""
    client = Client(REMOTE_ADDR=address, headers={"User-Agent": agent})
    client.force_login(user)
    assert client.get("/account/").status_code == 200
    return client


def test_a_session_says_whose_it_is_and_where_and_when_it_was_used() -> None:
    charlie = make_charlie()
    client = sign_in(charlie)
    [session] = sessions.list_of(charlie.pk)
    assert session.session_key == client.session.session_key
    assert (session.address, session.agent) == ("10.0.0.1", FIREFOX)
    assert session.seen_at is not None
    assert timezone.now() - session.seen_at < timedelta(minutes=1)


def test_using_it_writes_once_in_five_minutes_or_when_the_address_is_another() -> None:
    charlie = make_charlie()
    client = sign_in(charlie)
    first = Session.objects.get().seen_at
    with CaptureQueriesContext(connection) as asked:
        client.get("/account/")
    assert [each["sql"] for each in asked if each["sql"].lstrip().upper().startswith(("UPDATE", "INSERT"))] == []
    assert Session.objects.get().seen_at == first
    client.get("/account/", REMOTE_ADDR="10.0.0.2")
    assert Session.objects.get().address == "10.0.0.2"
    with time_machine.travel(timezone.now() + sessions.USE_IS_NOTED_EVERY):
        client.get("/account/", REMOTE_ADDR="10.0.0.2")
    later = Session.objects.get()
    assert first is not None
    assert later.seen_at is not None
    assert later.seen_at - first >= sessions.USE_IS_NOTED_EVERY
    assert later.started_at is not None
    assert later.started_at <= first


def test_a_program_with_a_key_makes_no_session_and_asks_for_none() -> None:
    _, token = make_key("team:read")
    with CaptureQueriesContext(connection) as asked:
        answer = Client().get("/api/v1/people/", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert not [each for each in asked if "person_session" in each["sql"]]


def test_one_is_ended_by_a_name_that_opens_nothing_and_only_by_whose_it_is() -> None:
    alice, bob = make_alice(), make_bob()
    client, other = sign_in(alice), sign_in(alice, address="10.0.0.9")
    of_bob = sign_in(bob)
    name = sessions.name_of(other.session.session_key)
    page = client.get("/account/").content.decode()
    assert name in page
    assert str(other.session.session_key) not in page
    assert str(client.session.session_key) not in page
    of_bob.post("/account/sessions/end/", {"session": name})
    assert get_user(other) == alice
    client.post("/account/sessions/end/", {"session": name})
    assert get_user(other).is_anonymous
    assert [get_user(each) for each in (client, of_bob)] == [alice, bob]


def test_ending_all_others_leaves_this_one_and_everyone_elses() -> None:
    alice, bob = make_alice(), make_bob()
    client, *others = [sign_in(alice) for _ in range(3)]
    of_bob = sign_in(bob)
    answer = client.post("/account/sessions/end-others/", follow=True)
    assert "2\u00a0sessions ended" in answer.content.decode()
    entry = AuditEntry.objects.get(action="person.end_sessions")
    assert (entry.actor_label, entry.subject_id, entry.before) == ("Alice", str(alice.pk), {"sessions": [FIREFOX] * 2})
    assert [get_user(each).is_anonymous for each in (client, *others, of_bob)] == [False, True, True, False]


def test_ending_the_one_in_use_signs_out() -> None:
    client = sign_in(make_alice())
    answer = client.post("/account/sessions/end/", {"session": sessions.name_of(client.session.session_key)})
    assert answer["Location"] == "/sign-in/"
    assert not Session.objects.filter(person__isnull=False).exists()


def test_a_new_password_leaves_only_the_session_it_was_typed_in() -> None:
    charlie = make_charlie()
    client, other = sign_in(charlie), sign_in(charlie)
    given = {"name": "Charlie", "current_password": "a long walk by the sea", "password": "another long walk"}
    assert client.post("/account/", given).status_code == 302
    assert (get_user(client), get_user(other).is_anonymous) == (charlie, True)
    assert client.get("/account/").status_code == 200
    assert [each.session_key for each in sessions.list_of(charlie.pk)] == [client.session.session_key]


def test_switching_someone_off_ends_their_sessions_for_good() -> None:
    make_alice()
    charlie = make_charlie()
    client = sign_in(charlie)
    people.set_active(charlie.pk, False, actor=SYSTEM)
    people.set_active(charlie.pk, True, actor=SYSTEM)
    assert get_user(client).is_anonymous


def test_what_lets_nobody_in_any_more_is_not_listed_and_is_removed(transactional_db: None) -> None:
    charlie = make_charlie()
    sign_in(charlie)
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert sessions.list_of(charlie.pk) == []
    keep_house()
    assert not Session.objects.exists()


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (FIREFOX, "Firefox on Windows"),
        (f"{MOZILLA} (iPhone; CPU iPhone OS 18_0) Version/18.0 Mobile/15E148 Safari/604.1", "Safari on an iPhone"),
        (
            f"{MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
            "Edge on macOS",
        ),
        (f"{MOZILLA} (Linux; Android 15) Chrome/140.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        ("", "A browser"),
        ("curl/8.5.0", "curl"),
    ],
)
def test_a_browser_is_named_in_words(agent: str, name: str) -> None:
    assert name_browser(agent) == name


def test_a_very_long_name_and_a_strange_address_are_cut(settings: Any) -> None:
    charlie = make_charlie()
    settings.BEHIND_PROXY = True
    client = Client(headers={"User-Agent": "x" * 5000, "X-Forwarded-For": "y" * 500})
    client.force_login(charlie)
    assert client.get("/account/").status_code == 200
    [session] = sessions.list_of(charlie.pk)
    assert (len(session.agent), len(session.address)) == (300, 45)
