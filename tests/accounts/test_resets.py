"""A new password by a link: sent by a worker, good once and for an hour, by a mail server that has bad days."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth import authenticate, get_user
from django.db import connection
from django.test import Client
from django.utils import timezone

from core.accounts import people, resets
from core.accounts.actors import SYSTEM, Actor
from core.accounts.models import AuditEntry, User
from core.lib.errors import InvalidInput, NotFound, Refused
from core.work.models import Work
from tests.accounts.factories import PASSWORD, make_alice, make_bob, make_charlie
from tests.mailserver import MailServer, run_mail_server, use

pytestmark = pytest.mark.django_db

NEW = "another long walk by the sea"
ROOT = "https://grouparoo.example.com/"


@pytest.fixture
def mail(settings: Any) -> Iterator[MailServer]:
    """The product sends by a server of the test's own."""
    with run_mail_server() as server:
        use(settings, server)
        yield server


def parts_of(path: str) -> tuple[str, str]:
    """Who, and the token, of a link's path."""
    found = re.search(r"/new-password/([^/]+)/([^/]+)/", path)
    assert found
    return found[1], found[2]


def send_all() -> None:
    while resets.send_some():
        pass


def test_a_link_is_sent_that_changes_the_password_once(mail: MailServer) -> None:
    bob = make_bob()
    resets.ask(" BOB@example.com", root=ROOT)
    send_all()
    [letter] = mail.letters
    assert letter["To"] == "bob@example.com"
    assert letter["From"] == "Grouparoo <grouparoo@example.com>"
    [url] = re.findall(r"https://\S+", letter.get_content())
    assert url.startswith(ROOT + "new-password/")
    resets.reset(*parts_of(url), NEW)
    assert authenticate(username=bob.email, password=NEW) == bob
    with pytest.raises(NotFound, match="used or is older than an hour"):
        resets.reset(*parts_of(url), NEW)
    assert not Work.objects.exists(), "nothing is left of whom it was sent to"


def test_asking_twice_sends_one_letter_and_asking_for_nobody_or_someone_switched_off_none(mail: MailServer) -> None:
    make_alice()
    bob, charlie = make_bob(), make_charlie()
    people.set_active(charlie.pk, False, actor=SYSTEM)
    for email in (bob.email, bob.email, charlie.email, "eve@example.com"):
        resets.ask(email, root=ROOT)
    send_all()
    assert [letter["To"] for letter in mail.letters] == ["bob@example.com"]


def test_a_server_that_refuses_or_hangs_up_is_tried_again_and_then_given_up(mail: MailServer) -> None:
    make_bob()
    mail.refuses = b"451 4.3.0 Come back later"
    resets.ask("bob@example.com", root=ROOT)
    send_all()
    work = Work.objects.get()
    assert (work.failures, mail.letters) == (1, [])
    assert "Come back later" in work.error
    mail.refuses, mail.cuts = b"", True
    Work.objects.update(next_at=timezone.now())
    send_all()
    assert Work.objects.get().failures == 2
    mail.cuts = False
    Work.objects.update(next_at=timezone.now())
    send_all()
    assert len(mail.letters) == 1
    mail.cuts = True
    resets.ask("bob@example.com", root=ROOT)
    for _ in range(resets.MOST_FAILURES):
        Work.objects.update(next_at=timezone.now())
        send_all()
    assert not Work.objects.exists()


def test_a_link_is_good_for_an_hour() -> None:
    who, token = parts_of(resets.make_path(make_bob()))
    with time_machine.travel(timezone.now() + timedelta(minutes=59)):
        assert resets.find(who, token).email == "bob@example.com"
    with time_machine.travel(timezone.now() + timedelta(minutes=61)), pytest.raises(NotFound):
        resets.find(who, token)


@pytest.mark.parametrize("who", ["", "x", "!!", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "4pyT"])
def test_a_link_that_was_never_made_leads_nowhere(who: str) -> None:
    _, token = parts_of(resets.make_path(make_bob()))
    with pytest.raises(NotFound):
        resets.find(who, token)


def test_a_link_of_someone_else_or_of_someone_switched_off_since_leads_nowhere() -> None:
    make_alice()
    bob, charlie = make_bob(), make_charlie()
    (of_bob, token), (of_charlie, other) = (parts_of(resets.make_path(user)) for user in (bob, charlie))
    with pytest.raises(NotFound):
        resets.reset(of_charlie, token, NEW)
    people.set_active(charlie.pk, False, actor=SYSTEM)
    with pytest.raises(NotFound):
        resets.reset(of_charlie, other, NEW)
    with pytest.raises(Refused, match="switched off"):
        resets.make_path_by_hand(charlie.pk, actor=SYSTEM)
    assert resets.find(of_bob, token) == bob


def test_a_weak_password_uses_nothing_up_and_a_new_one_ends_every_session() -> None:
    bob = make_bob()
    clients = [Client(), Client()]
    for client in clients:
        client.force_login(bob)
    link = parts_of(resets.make_path(User.objects.get()))
    with pytest.raises(InvalidInput, match="too short"):
        resets.reset(*link, "short")
    assert [get_user(client) for client in clients] == [bob, bob]
    resets.reset(*link, NEW)
    assert [get_user(client).is_anonymous for client in clients] == [True, True]


def test_an_admins_link_and_the_change_are_written_down_without_the_link() -> None:
    alice, bob = make_alice(), make_bob()
    _, path = resets.make_path_by_hand(bob.pk, actor=Actor.person(alice))
    resets.reset(*parts_of(path), NEW)
    found = AuditEntry.objects.filter(subject_id=str(bob.pk)).exclude(action="person.create").order_by("pk")
    assert [(entry.action, entry.actor_id) for entry in found] == [
        ("person.make_reset_link", alice.pk),
        ("person.set_password", bob.pk),
    ]
    assert parts_of(path)[1] not in str(list(found.values()))
    with pytest.raises(NotFound):
        resets.make_path_by_hand(12345, actor=SYSTEM)


@pytest.mark.django_db(transaction=True)
def test_one_link_used_twice_at_once_changes_the_password_once() -> None:
    make_bob()
    link = parts_of(resets.make_path(User.objects.get()))

    def use_it(password: str) -> bool:
        try:
            resets.reset(*link, password)
        except NotFound:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(use_it, [f"{NEW} {number}" for number in range(4)])) == [False, False, False, True]
    assert not User.objects.get().check_password(PASSWORD)
