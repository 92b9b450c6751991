"""Invitations: a link that is good once, for seven days, until it is revoked or made anew."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.forms.models import model_to_dict
from django.utils import timezone

from core.accounts import invitations
from core.accounts.actors import SYSTEM, Actor
from core.accounts.models import AuditEntry, Invitation, Role, User
from core.lib.errors import InvalidInput, NotFound, ProductError, Refused
from tests.accounts.factories import PASSWORD, make_alice, make_bob

pytestmark = pytest.mark.django_db


def accept(token: str) -> User:
    return invitations.accept(token, name="Bob", password=PASSWORD)


def test_who_follows_the_link_is_in_the_team_with_the_role_and_the_link_is_used() -> None:
    alice = make_alice()
    invitation, token = invitations.invite(" Bob@Example.com", "editor", actor=Actor.person(alice))
    bob = accept(token)
    assert (bob.email, bob.name, bob.role, bob.check_password(PASSWORD)) == ("bob@example.com", "Bob", "editor", True)
    with pytest.raises(NotFound, match="used, revoked or is older"):
        accept(token)
    invitation.refresh_from_db()
    assert invitation.accepted_at is not None
    assert invitation.created_by == alice
    assert invitations.list_open() == []


def test_the_token_is_kept_nowhere_and_every_step_is_in_the_audit_log() -> None:
    invitation, token = invitations.invite("bob@example.com", "editor", actor=Actor.person(make_alice()))
    invitation, again = invitations.renew(invitation.pk, actor=SYSTEM)
    accept(again)
    stored = f"{list(AuditEntry.objects.values())} {model_to_dict(Invitation.objects.get())}"
    for secret in (*token.split(":"), *again.split(":"), PASSWORD):
        assert secret not in stored
    of_it = AuditEntry.objects.filter(subject_kind="invitation").order_by("pk")
    assert [entry.action for entry in of_it] == ["invitation.create", "invitation.renew", "invitation.accept"]
    assert AuditEntry.objects.get(action="person.create", subject_label="Bob").actor_label == "bob@example.com"


def test_a_link_leads_nowhere_once_its_time_is_over() -> None:
    _, token = invitations.invite("bob@example.com", "viewer", actor=SYSTEM)
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(NotFound):
        invitations.find(token)
    with pytest.raises(NotFound):
        accept(token)
    assert [each.email for each in invitations.list_open()] == ["bob@example.com"]  # so that it can be sent again


def test_a_new_invitation_lasts_seven_days() -> None:
    invitation, _ = invitations.invite("bob@example.com", "viewer", actor=SYSTEM)
    assert timedelta(days=7) - timedelta(minutes=1) < invitation.expires_at - timezone.now() <= timedelta(days=7)


def test_a_link_made_anew_replaces_the_one_before_and_one_revoked_leads_nowhere() -> None:
    invitation, first = invitations.invite("bob@example.com", "viewer", actor=SYSTEM)
    _, second = invitations.renew(invitation.pk, actor=SYSTEM)
    with pytest.raises(NotFound):
        invitations.find(first)
    assert invitations.find(second) == invitation
    invitations.revoke(invitation.pk, actor=SYSTEM)
    with pytest.raises(NotFound):
        accept(second)
    with pytest.raises(Refused, match="revoked"):
        invitations.renew(invitation.pk, actor=SYSTEM)
    assert invitations.invite("bob@example.com", "viewer", actor=SYSTEM)  # and they can be invited anew


def test_a_link_that_was_never_made_here_asks_the_database_nothing(django_assert_num_queries: object) -> None:
    _, token = invitations.invite("bob@example.com", "viewer", actor=SYSTEM)
    for made_up in ("", "nothing", token[:-1] + ("A" if token[-1] != "A" else "B"), "x" + token):
        with django_assert_num_queries(0), pytest.raises(NotFound):  # type: ignore[operator]  # a fixture without a type
            invitations.find(made_up)


@pytest.mark.parametrize(
    ("email", "role", "field"),
    [
        ("nobody", "viewer", "email"),
        ("bob@example.com", "owner", "role"),
        ("alice@example.com", "viewer", "email"),
        ("charlie@example.com", "viewer", "email"),
    ],
)
def test_what_cannot_be_used_is_named_and_invites_nobody(email: str, role: str, field: str) -> None:
    make_alice()
    invitations.invite("charlie@example.com", "viewer", actor=SYSTEM)
    with pytest.raises(InvalidInput) as caught:
        invitations.invite(email, role, actor=SYSTEM)
    assert list(caught.value.fields) == [field]
    assert Invitation.objects.count() == 1


def test_a_weak_password_uses_nothing_up() -> None:
    _, token = invitations.invite("bob@example.com", "viewer", actor=SYSTEM)
    with pytest.raises(InvalidInput, match="too short"):
        invitations.accept(token, name="Bob", password="short")
    assert accept(token).role == Role.VIEWER


def test_someone_who_came_another_way_meanwhile_is_not_made_twice() -> None:
    _, token = invitations.invite("bob@example.com", "admin", actor=SYSTEM)
    bob = make_bob()
    with pytest.raises(InvalidInput, match="already"):
        accept(token)
    bob.refresh_from_db()
    assert bob.role == Role.EDITOR


@pytest.mark.django_db(transaction=True)
def test_two_who_follow_one_link_at_the_same_time_make_one_person() -> None:
    _, token = invitations.invite("bob@example.com", "viewer", actor=SYSTEM)

    def follow(_: int) -> bool:
        try:
            accept(token)
        except ProductError:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(follow, range(4))) == [False, False, False, True]
    assert User.objects.count() == 1
