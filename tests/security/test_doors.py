"""Every address: no change without a CSRF token, and no page that others could frame or put a script into."""

from __future__ import annotations

import pytest
from django.test import Client

from core.ui.signin import SignIn
from events.models import Inbox
from tests.accounts.factories import make_alice
from tests.permissions.addresses import list_addresses

pytestmark = pytest.mark.django_db


def check_headers(response: object, name: str) -> None:
    """What the browser is told to refuse."""
    headers = response.headers  # type: ignore[attr-defined]  # the test client's answers have no common type
    policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["script-src"] == policy["style-src"] == "'self'", name
    assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'", name
    assert policy["form-action"] == "'self'", name
    assert headers["X-Frame-Options"] == "DENY", name
    assert headers["X-Content-Type-Options"] == "nosniff", name
    assert headers["Referrer-Policy"] == "same-origin", name


# What programs send to with a key or a secret of their own, which no browser brings along by itself. Without it they
# take nothing, and they look at no session.
FOR_PROGRAMS = {"hooks:door", "tracking:calls", "tracking:calls_with_slash"}


def test_no_address_takes_a_change_from_a_browser_without_its_token() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_alice())
    addresses = list_addresses()
    assert len(addresses) > 50
    taken = {
        f"{method} {address.name}": status
        for address in addresses
        if address.name not in FOR_PROGRAMS
        for method in ("POST", "PUT", "PATCH", "DELETE")
        if (status := client.generic(method, address.path).status_code) not in (401, 403)
    }
    assert taken == {}


def test_doors_for_programs_take_nothing_from_whoever_is_signed_in_but_brings_no_key() -> None:
    client = Client()
    client.force_login(make_alice())
    event = {"userId": "1", "event": "Visit", "type": "track", "batch": []}
    for path in ("/v1/track", "/v1/track/", "/v1/batch"):
        assert client.post(path, event, content_type="application/json").status_code == 401
    assert client.post("/hooks/1/nothing", event, content_type="application/json").status_code == 404
    assert not Inbox.objects.exists()


def test_every_address_answers_with_what_protects_the_browser() -> None:
    client = Client()
    client.force_login(make_alice())
    for address in list_addresses():
        check_headers(client.get(address.path), address.name)


def test_pages_for_nobody_and_pages_of_failures_are_protected_too(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(raise_request_exception=False)
    for path in ("/sign-in/", "/there/is/no/such/page/", "/api/v1/nothing/"):
        check_headers(client.get(path), path)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(SignIn, "get", fail)
    response = client.get("/sign-in/")
    assert response.status_code == 500
    assert "out of order" not in response.content.decode()
    check_headers(response, "a failure")
