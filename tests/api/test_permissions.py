"""Who may send events and open pages, and how lists are paged. Every address: `tests/permissions/test_matrix.py`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from rest_framework.request import Request

from core.accounts.models import Role, User
from core.accounts.permissions import SCOPES, role_for, role_required
from core.rest.paging import Pages
from events.models import Inbox
from tests.accounts.factories import make_alice, make_bob, make_charlie, make_key
from tests.api.door import EVENTS, Program, assert_one_shape

pytestmark = pytest.mark.django_db

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
        with pytest.raises(PermissionDenied, match=str(needed.label)):
            page(request)


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
