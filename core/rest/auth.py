"""Who calls the API, and whether they may: API keys by `Authorization: Bearer`, browsers by session with CSRF.

Every endpoint names the scope it needs; an endpoint that names none is refused to everyone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AnonymousUser
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from core.accounts import keys, two_factor
from core.accounts.actors import Actor
from core.accounts.models import ApiKey, User
from core.accounts.permissions import has_role, key_allows, role_for

if TYPE_CHECKING:  # the framework's views import this module by its settings
    from rest_framework.views import APIView

ANYONE_KNOWN = "any"  # for what holds nothing of the team's, such as the document of the API


class KeyAuthentication(BaseAuthentication):
    """An API key in the Authorization header. A wrong key is an error, never a fall back to the session."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, ApiKey] | None:
        """(nobody, the key), or None when the request brings no key."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        if scheme.lower() != "bearer" or not token.strip():
            raise exceptions.AuthenticationFailed("Write the key as “Authorization: Bearer KEY”.")
        key = keys.authenticate(token.strip())
        if key is None:
            raise exceptions.AuthenticationFailed(
                "This API key is unknown, expired or revoked. Ask an admin of your team for another one."
            )
        return AnonymousUser(), key

    def authenticate_header(self, request: Request) -> str:
        """What a 401 asks for."""
        return 'Bearer realm="Grouparoo"'


class BrowserAuthentication(SessionAuthentication):
    """The browser's session; whatever changes something has to bring the CSRF token of the page."""

    def authenticate(self, request: Request) -> Any:
        """(the person, nothing), or None without a session. Raises PermissionDenied where a second factor is owed."""
        found = super().authenticate(request)
        if found is not None and two_factor.is_owed(request._request.session):  # noqa: SLF001  DRF's way
            raise exceptions.PermissionDenied("Set up two-factor sign-in in your account first: your team wants it.")
        return found

    def enforce_csrf(self, request: Request) -> None:
        """Raises PermissionDenied with what to do."""
        try:
            super().enforce_csrf(request)
        except exceptions.PermissionDenied:
            raise exceptions.PermissionDenied(
                "The page's protection against forged requests is missing. Send its token as X-CSRFToken, or use an"
                " API key."
            ) from None


class HasScope(BasePermission):
    """Checks the endpoint's `required_scope`: "events:write", or one for each method {"GET": "events:read", ...}.

    A key needs the scope itself; a person needs the role that goes with it. `ANYONE_KNOWN` lets in all of them.
    """

    message = "Not allowed."

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether the caller may; says in `message` what is missing."""
        scope = scope_of(view, str(request.method))
        if scope == ANYONE_KNOWN:
            return isinstance(request.auth, ApiKey) or isinstance(request.user, User)
        if isinstance(request.auth, ApiKey):
            self.message = f"This API key does not have the scope {scope}. Make a key that has it."
            return scope is not None and key_allows(request.auth, scope)
        if not isinstance(request.user, User):
            return False  # becomes a 401
        if scope is None:
            return False
        role = role_for(scope)
        self.message = f"This needs the role {role.label}. Ask an admin of your team."
        return has_role(request.user, role)


def scope_of(view: APIView | type[APIView], method: str) -> str | None:
    """The scope an endpoint needs for a method; a method it does not have needs what its others need."""
    required: str | Mapping[str, str] | None = getattr(view, "required_scope", None)
    if required is None or isinstance(required, str):
        return required
    return required.get("GET" if method == "HEAD" else method) or next(iter(required.values()), None)


def actor_of(request: Request) -> Actor:
    """The key or person that calls, after `HasScope` let them in."""
    auth: Any = request.auth
    if isinstance(auth, ApiKey):
        return Actor.key(auth)
    if isinstance(request.user, User):
        return Actor.person(request.user)
    raise exceptions.NotAuthenticated
