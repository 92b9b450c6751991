"""API keys: shown once, kept as a hash, used, expired, revoked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
import time_machine
from django.core.management import call_command
from django.forms.models import model_to_dict
from django.utils import timezone

from core.accounts import keys
from core.accounts.actors import SYSTEM, Actor
from core.accounts.models import ApiKey, AuditEntry
from core.accounts.permissions import SCOPES, key_allows
from core.lib.errors import InvalidInput
from tests.accounts.factories import make_alice, make_key

pytestmark = pytest.mark.django_db


def test_a_token_opens_its_key_and_is_kept_nowhere() -> None:
    key, token = make_key("events:write")
    assert keys.authenticate(token) == key
    assert token.startswith(key.prefix)
    secret = token.removeprefix(key.prefix)
    assert secret not in str(model_to_dict(ApiKey.objects.get()))
    assert secret not in str(list(AuditEntry.objects.values()))
    assert secret not in repr(key)


def test_an_unknown_token_opens_nothing() -> None:
    _, token = make_key("events:write")
    assert keys.authenticate(token + "x") is None
    assert keys.authenticate("") is None


def test_a_revoked_key_opens_nothing_from_then_on() -> None:
    alice = make_alice()
    key, token = make_key("events:write")
    keys.revoke_key(key.pk, actor=Actor.person(alice))
    keys.revoke_key(key.pk, actor=Actor.person(alice))
    assert keys.authenticate(token) is None
    assert AuditEntry.objects.filter(action="api_key.revoke", actor_id=alice.pk).count() == 1


def test_a_key_opens_nothing_after_its_time() -> None:
    ends = timezone.now() + timedelta(hours=1)
    _, token = keys.create_key("web shop", ["events:write"], expires_at=ends, actor=SYSTEM)
    assert keys.authenticate(token)
    with time_machine.travel(ends):
        assert keys.authenticate(token) is None


def test_use_is_noted_at_most_once_a_minute() -> None:
    key, token = make_key("events:write")
    keys.authenticate(token)
    key.refresh_from_db()
    assert key.last_used_at is not None
    noted = timezone.now() - timedelta(seconds=50)
    ApiKey.objects.update(last_used_at=noted)
    keys.authenticate(token)
    assert ApiKey.objects.get().last_used_at == noted
    ApiKey.objects.update(last_used_at=noted - timedelta(seconds=20))
    keys.authenticate(token)
    last = ApiKey.objects.get().last_used_at
    assert last is not None
    assert last > noted


@pytest.mark.parametrize(
    ("name", "scopes", "expires_at", "field"),
    [
        ("", ["events:write"], None, "name"),
        ("web shop", [], None, "scopes"),
        ("web shop", ["events:write", "events:delete"], None, "scopes"),
        ("web shop", ["events:write"], datetime(2020, 1, 1, tzinfo=UTC), "expires_at"),
    ],
)
def test_what_cannot_be_used_is_named(name: str, scopes: list[str], expires_at: datetime | None, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        keys.create_key(name, scopes, expires_at=expires_at, actor=SYSTEM)
    assert list(caught.value.fields) == [field]
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_opens_itself_and_writing_includes_reading(scope: str) -> None:
    key, _ = make_key(scope)
    reading = scope.replace(":write", ":read")
    assert {each for each in SCOPES if key_allows(key, each)} == {scope, reading}


def test_the_command_prints_the_token_alone() -> None:
    said, told = StringIO(), StringIO()
    call_command("createkey", name="web shop", scope=["events:write"], stdout=said, stderr=told)
    key = keys.authenticate(said.getvalue().strip())
    assert key is not None
    assert key.scopes == ["events:write"]
    assert "web shop" in told.getvalue()
