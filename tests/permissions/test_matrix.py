"""Every endpoint and page, for nobody, viewer, editor, admin and a key of each scope: who is let in, who is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.http import HttpResponseBase
from django.test import Client

from core.accounts.models import Role, User
from core.accounts.permissions import SCOPES, role_for
from core.rest.auth import ANYONE_KNOWN, scope_of
from tests.accounts.factories import make_alice, make_bob, make_charlie, make_key
from tests.permissions.addresses import METHODS, Address, list_addresses
from tests.permissions.table import ENDPOINTS, OPEN, PAGES

pytestmark = pytest.mark.django_db

RANK = {Role.VIEWER: 1, Role.EDITOR: 2, Role.ADMIN: 3}
PAGE_METHODS = ("GET", "POST")
PEOPLE: list[tuple[Callable[[], User], int]] = [(make_charlie, 1), (make_bob, 2), (make_alice, 3)]
FILE = "tests/permissions/table.py"


def send(client: Client, method: str, path: str, *, token: str = "") -> HttpResponseBase:
    """A call that changes nothing even when it is let in: its body is no object."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if path.startswith("/api/") and method != "GET":
        return client.generic(method, path, b"null", content_type="application/json", headers=headers)
    return client.generic(method, path, headers=headers)


def is_refused(response: HttpResponseBase) -> bool:
    """Whether whoever called was not let in."""
    goes_to_sign_in = response.status_code == 302 and response.headers["Location"].startswith("/sign-in/")
    return response.status_code in (401, 403) or goes_to_sign_in


def calls() -> Iterator[tuple[Address, str]]:
    """Every address with every method that it may be called with."""
    for address in list_addresses():
        if address.name not in OPEN:
            methods = ENDPOINTS.get(address.name, PAGE_METHODS) if address.endpoint else PAGE_METHODS
            yield from ((address, method) for method in methods)


def needed_rank(address: Address, method: str) -> int:
    """From which role on a person may."""
    if not address.endpoint:
        return RANK[PAGES[address.name]]
    scope = ENDPOINTS[address.name][method]
    return RANK[Role.VIEWER] if scope == ANYONE_KNOWN else RANK[role_for(scope)]


def key_may(scope: str, needed: str) -> bool:
    """Whether a key with this one scope may do what needs the other one; writing a topic includes reading it."""
    return needed in (ANYONE_KNOWN, scope) or needed == scope.replace(":write", ":read")


def test_every_address_has_its_line() -> None:
    found = {address.name: address for address in list_addresses() if address.name not in OPEN}
    declared = PAGES.keys() | ENDPOINTS.keys()
    missing = [
        f'    "{name}": "GET topic:read, POST topic:write",  # in _ENDPOINTS'
        if address.endpoint
        else f'    "{name}": VIEWER,  # in PAGES, or EDITOR or ADMIN'
        for name, address in found.items()
        if name not in declared
    ]
    assert not missing, f"Say in {FILE} who may open these:\n" + "\n".join(missing)
    assert declared - found.keys() == set(), f"These lines of {FILE} name no address any more."
    kinds = {name: bool(address.endpoint) for name, address in found.items()}
    assert [name for name in PAGES if kinds[name]] == [], "These are endpoints: they belong to _ENDPOINTS."
    assert [name for name in ENDPOINTS if not kinds[name]] == [], "These are pages: they belong to PAGES."


def test_every_view_asks_for_what_its_line_says() -> None:
    wrong = []
    for address in list_addresses():
        if address.name in OPEN:
            continue
        if address.endpoint:
            has = [method for method in METHODS if hasattr(address.endpoint, method.lower())]
            asked = {method: scope_of(address.endpoint, method) for method in has}
            if asked != ENDPOINTS.get(address.name):
                wrong.append(f"{address.name} asks for {asked}, {FILE} says {ENDPOINTS.get(address.name)}")
        else:
            role = getattr(address.view, "required_role", None)
            if role != PAGES.get(address.name):
                wrong.append(f"{address.name} asks for {role}, {FILE} says {PAGES.get(address.name)}")
    assert wrong == []


def test_no_endpoint_turns_the_checks_off() -> None:
    endpoints = [address.endpoint for address in list_addresses() if address.endpoint]
    assert endpoints
    for endpoint in endpoints:
        assert not {"permission_classes", "authentication_classes"} & vars(endpoint).keys(), endpoint


def test_nobody_gets_nothing_but_the_door_to_sign_in() -> None:
    client = Client(raise_request_exception=False)
    opened = []
    for address in list_addresses():
        if address.name in OPEN:
            continue
        for method in METHODS:
            response = send(client, method, address.path)
            if not is_refused(response) and response.status_code != 405:
                opened.append(f"{method} {address.path} ({address.name}): {response.status_code}")
    assert opened == []


@pytest.mark.parametrize(("make", "rank"), PEOPLE, ids=["viewer", "editor", "admin"])
def test_people_are_let_in_by_their_role(make: Callable[[], User], rank: int) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(make())
    wrong = []
    for address, method in calls():
        response = send(client, method, address.path)
        may = rank >= needed_rank(address, method)
        if response.status_code == 405 and not address.endpoint:
            continue  # a page only to look at, or a button only to press: nobody is let in
        if is_refused(response) is may or response.status_code >= 500:
            wrong.append(f"{method} {address.path} ({address.name}): {response.status_code}, may: {may}")
    assert wrong == []


@pytest.mark.parametrize("scope", SCOPES)
def test_keys_open_what_their_scope_names_and_no_page(scope: str) -> None:
    _, token = make_key(scope)
    client = Client(raise_request_exception=False)
    wrong = []
    for address, method in calls():
        if not address.endpoint:
            continue
        response = send(client, method, address.path, token=token)
        may = key_may(scope, ENDPOINTS[address.name][method])
        if is_refused(response) is may or response.status_code >= 500:
            wrong.append(f"{method} {address.path} ({address.name}): {response.status_code}, may: {may}")
    assert wrong == []


def test_a_key_of_all_scopes_opens_no_page() -> None:
    _, token = make_key(*SCOPES)
    client = Client(raise_request_exception=False)
    pages = [address for address in list_addresses() if address.name in PAGES]
    assert pages
    assert [page.path for page in pages if not is_refused(send(client, "GET", page.path, token=token))] == []
