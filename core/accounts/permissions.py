"""Who may do what: the order of the roles, the scopes of API keys, and the check of a page's role.

Doors (pages, API, commands) check; the functions behind them do not. A page without `role_required` or an endpoint
without `required_scope` is found by `tests/permissions/test_matrix.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext

from core.accounts.models import ApiKey, Role, User

_RANK = {Role.VIEWER: 1, Role.EDITOR: 2, Role.ADMIN: 3}

TOPICS = ("profiles", "groups", "apps", "schedules", "events", "team", "privacy")
_ADMINS = ("team", "privacy")  # topics that only admins have
SCOPES = tuple(f"{topic}:{access}" for topic in TOPICS for access in ("read", "write"))

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def has_role(user: User | AnonymousUser, role: str) -> bool:
    """Whether this person is signed in and has this role or one above it."""
    return isinstance(user, User) and user.is_active and _RANK[Role(user.role)] >= _RANK[Role(role)]


def role_for(scope: str) -> Role:
    """The least role that lets a person do in the browser what this scope lets a key do."""
    topic, access = scope.split(":")
    if topic in _ADMINS:
        return Role.ADMIN
    return Role.EDITOR if access == "write" else Role.VIEWER


def key_allows(key: ApiKey, scope: str) -> bool:
    """Whether a key has this scope; writing a topic includes reading it."""
    topic, access = scope.split(":")
    return scope in key.scopes or (access == "read" and f"{topic}:write" in key.scopes)


def unknown_scopes(scopes: Iterable[str]) -> list[str]:
    """Those of `scopes` that do not exist."""
    return sorted(set(scopes) - set(SCOPES))


def role_required(role: Role) -> Callable[[View], View]:
    """Decorate a page: who is not signed in goes to the sign-in page and back, who may not gets a 403.

    For a class-based view, wrap what `as_view()` gives.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            if not has_role(request.user, role):
                raise PermissionDenied(
                    gettext("This needs the role %(role)s. Ask an admin of your team.") % {"role": role.label}
                )
            return view(request, *args, **kwargs)

        checked.required_role = role  # type: ignore[attr-defined]  # a note for the tests
        return checked  # type: ignore[return-value]  # has the view's own signature

    return decorate
