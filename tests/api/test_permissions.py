"""Who may do what: the matrix of the events door, and a walk over every address of the product."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.converters import IntConverter, SlugConverter, StringConverter, UUIDConverter
from rest_framework.request import Request

from core.accounts.models import Role, User
from core.accounts.permissions import SCOPES, role_for, role_required
from core.rest.auth import scope_of
from core.rest.paging import Pages
from events.models import Inbox
from tests.accounts.factories import make_alice, make_bob, make_charlie, make_key
from tests.api.door import EVENTS, Program, assert_one_shape

pytestmark = pytest.mark.django_db

# What nobody may open without signing in. Anything else has to name a role or a scope.
OPEN_TO_NOBODY = {"accounts:login", "accounts:logout", "healthz", "readyz"}

METHODS = ("get", "post", "put", "patch", "delete")
VALUES = {
    IntConverter: 1,
    StringConverter: "x",
    SlugConverter: "x",
    UUIDConverter: "0198c0de-0000-7000-8000-000000000000",
}


# ---------------------------------------------------------------- the events door


@pytest.mark.parametrize(
    ("make", "status"), [(make_alice, 202), (make_bob, 202), (make_charlie, 403)], ids=["admin", "editor", "viewer"]
)
def test_people_need_the_role_of_an_editor_to_send_events(make: Callable[[], User], status: int) -> None:
    client = Client()
    client.force_login(make())
    response = client.post(EVENTS, {"user_id": 3}, content_type="application/json")
    assert response.status_code == status
    assert Inbox.objects.count() == (1 if status == 202 else 0)


@pytest.mark.parametrize("scope", SCOPES)
def test_keys_need_the_scope_to_send_events(scope: str) -> None:
    response = Program(scope).post({"user_id": 3})
    if scope == "events:write":
        assert response.status_code == 202
    else:
        assert_one_shape(response, 403, "not_allowed")
    assert Inbox.objects.count() == (1 if scope == "events:write" else 0)


def test_a_wrong_key_is_refused_even_beside_a_session() -> None:
    client = Client()
    client.force_login(make_alice())
    headers = {"Authorization": "Bearer wrong"}
    response = client.post(EVENTS, {"user_id": 3}, content_type="application/json", headers=headers)
    assert_one_shape(response, 401, "not_signed_in")


def test_a_key_opens_no_page() -> None:
    _, token = make_key(*SCOPES)
    response = Client().get("/", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 302


def test_a_person_reads_as_a_viewer_writes_as_an_editor_and_only_an_admin_sees_the_team() -> None:
    assert {scope: role_for(scope) for scope in ("groups:read", "groups:write", "team:read", "team:write")} == {
        "groups:read": Role.VIEWER,
        "groups:write": Role.EDITOR,
        "team:read": Role.ADMIN,
        "team:write": Role.ADMIN,
    }


@pytest.mark.parametrize("needed", [Role.VIEWER, Role.EDITOR, Role.ADMIN])
@pytest.mark.parametrize("rank", [0, 1, 2], ids=["viewer", "editor", "admin"])
def test_a_page_lets_in_its_role_and_those_above(needed: Role, rank: int) -> None:
    @role_required(needed)
    def page(request: HttpRequest) -> HttpResponse:
        return HttpResponse("welcome")

    request = RequestFactory().get("/")
    request.user = (make_charlie, make_bob, make_alice)[rank]()
    if rank >= [Role.VIEWER, Role.EDITOR, Role.ADMIN].index(needed):
        assert page(request).content == b"welcome"
    else:
        with pytest.raises(PermissionDenied, match=needed.label):
            page(request)


# ---------------------------------------------------------------- every address


def walk(patterns: list[Any], *, prefix: str = "/", names: tuple[str, ...] = ()) -> Iterator[tuple[str, str, Any]]:
    """Every address with something in the place of its variables, its name with namespaces, and its view."""
    for pattern in patterns:
        path = prefix + fill_in(pattern)
        if isinstance(pattern, URLResolver):
            inner = (*names, pattern.namespace) if pattern.namespace else names
            yield from walk(pattern.url_patterns, prefix=path, names=inner)
        elif isinstance(pattern, URLPattern):
            yield path, ":".join((*names, pattern.name or "")), pattern.callback


def fill_in(pattern: URLPattern | URLResolver) -> str:
    """The route with a value for each variable; one of an unknown kind fails, so that the walk stays whole."""
    route = str(pattern.pattern)
    for name, converter in pattern.pattern.converters.items():
        kind = next(key for key, known in route_kinds() if isinstance(converter, known))
        route = route.replace(f"<{name}>", "x").replace(f"<{kind}:{name}>", str(VALUES[type(converter)]))
    assert "<" not in route, f"{route} has a variable this walk cannot fill in"
    return route


def route_kinds() -> list[tuple[str, type]]:
    return [("int", IntConverter), ("uuid", UUIDConverter), ("slug", SlugConverter), ("str", StringConverter)]


def addresses() -> list[tuple[str, str, Any]]:
    return list(walk(get_resolver().url_patterns))


def test_the_walk_sees_pages_and_endpoints() -> None:
    names = {name for _, name, _ in addresses()}
    assert {"home", "accounts:login", "events_api:events", "groups:list"} <= names


def test_nobody_gets_nothing_but_the_door_to_sign_in() -> None:
    client = Client(raise_request_exception=False)
    opened = []
    for path, name, _ in addresses():
        if name in OPEN_TO_NOBODY:
            continue
        for method in METHODS:
            response = getattr(client, method)(path)
            refused = response.status_code in (401, 403, 405) or (
                response.status_code == 302 and response["Location"].startswith("/sign-in/")
            )
            if not refused:
                opened.append(f"{method.upper()} {path} ({name}): {response.status_code}")
    assert opened == []


def test_every_page_names_its_role_and_every_endpoint_its_scope() -> None:
    unnamed = []
    for path, name, view in addresses():
        if name in OPEN_TO_NOBODY or isinstance(getattr(view, "required_role", None), Role):
            continue
        endpoint: Any = getattr(view, "cls", None)
        scopes = [scope_of(endpoint, method.upper()) for method in METHODS if hasattr(endpoint, method)]
        if not scopes or not set(scopes) <= set(SCOPES):
            unnamed.append(f"{path} ({name})")
    assert unnamed == []


def test_no_endpoint_turns_the_checks_off() -> None:
    endpoints = {view.cls for _, _, view in addresses() if hasattr(view, "cls")}
    assert endpoints
    for endpoint in endpoints:
        assert not {"permission_classes", "authentication_classes"} & vars(endpoint).keys(), endpoint


# ---------------------------------------------------------------- paging


def test_a_list_is_paged_by_cursor_and_limited() -> None:
    for make in (make_alice, make_bob, make_charlie):
        make()
    people = User.objects.all()
    seen: list[str] = []
    query: dict[str, str] = {"limit": "2"}
    for _ in range(2):
        pages = Pages()
        request = Request(RequestFactory().get("/", query))
        seen += [user.name for user in pages.paginate_queryset(people, request) or []]
        link = pages.get_next_link()
        if link:
            query["cursor"] = link.split("cursor=")[1].split("&")[0].replace("%3D", "=")
    assert seen == ["Charlie", "Bob", "Alice"]
    assert Pages.max_page_size == 500
