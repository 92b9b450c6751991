"""Signing in: wrong passwords are counted, right ones are not, and beyond the limit nobody is asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from django.conf import settings as django_settings
from django.test import Client

from core.lib import rates
from core.ui import attempts, signin
from tests.ui.shop import PASSWORD, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_counted(servers: None) -> Iterator[None]:
    rates.forget()
    with redis.Redis.from_url(django_settings.REDIS_URL) as client:
        for key in client.scan_iter("rate:sign-in:*"):
            client.delete(key)
    yield
    rates.forget()


def attempt(client: Client, password: str, *, email: str = "alice@example.com", address: str = "10.0.0.1") -> str:
    """Try to sign in; where it led or what it said."""
    response = client.post("/sign-in/", {"username": email, "password": password}, REMOTE_ADDR=address)
    return str(response.get("Location") or response.content.decode())


def test_after_ten_wrong_passwords_even_the_right_one_has_to_wait(client: Client) -> None:
    make_user()
    for _ in range(signin.MOST_PER_EMAIL):
        assert "do not go together" in attempt(client, "wrong")
    text = attempt(client, PASSWORD)
    assert "too many attempts" in text
    assert "15 minutes" in text or "minute" in text
    assert "too many attempts" in attempt(client, PASSWORD, address="10.0.0.2"), "another address helps nobody"


def test_an_address_that_tries_many_names_has_to_wait(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    make_user()
    monkeypatch.setattr(signin, "MOST_PER_ADDRESS", 3)
    for number in range(3):
        assert "do not go together" in attempt(client, "wrong", email=f"nobody{number}@example.com")
    assert "too many attempts" in attempt(client, PASSWORD)
    assert attempt(client, PASSWORD, address="10.0.0.9") == "/"


def test_signing_in_uses_nothing_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    make_user()
    monkeypatch.setattr(signin, "MOST_PER_EMAIL", 1)
    for _ in range(3):
        assert attempt(client, PASSWORD) == "/"
        client.logout()


def test_a_name_that_exists_is_answered_like_one_that_does_not(client: Client) -> None:
    make_user()
    known, unknown = (attempt(client, "wrong", email=email) for email in ("alice@example.com", "eve@example.com"))
    assert known.replace("alice@", "eve@").count("do not go together") == unknown.count("do not go together") == 1


def test_while_redis_is_away_people_still_sign_in(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    make_user()
    monkeypatch.setattr(signin, "MOST_PER_EMAIL", 1)
    attempt(client, "wrong")
    assert "too many attempts" in attempt(client, PASSWORD)
    monkeypatch.setattr(rates, "_client", lambda: redis.Redis(host="127.0.0.1", port=1, socket_timeout=0.1))
    assert attempt(client, PASSWORD) == "/"


@pytest.mark.parametrize(("behind", "found"), [(False, "10.0.0.1"), (True, "203.0.113.7")])
def test_the_address_is_the_proxys_word_only_behind_one(behind: bool, found: str, rf: object, settings: object) -> None:
    settings.BEHIND_PROXY = behind  # type: ignore[attr-defined]  # pytest-django gives the fixture no type
    request = rf.post("/", REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="1.2.3.4, 203.0.113.7")  # type: ignore[attr-defined]
    assert attempts.find_address(request) == found
