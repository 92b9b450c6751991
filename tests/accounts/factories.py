"""People and keys of the tests: Alice is an admin, Bob an editor, Charlie a viewer."""

from __future__ import annotations

from core.accounts import keys, people
from core.accounts.actors import SYSTEM
from core.accounts.models import ApiKey, Role, User

PASSWORD = "a long walk by the sea"


def make_user(name: str, *, role: str = Role.VIEWER) -> User:
    """Someone who signs in as name@example.com with PASSWORD."""
    return people.create_user(f"{name.lower()}@example.com", name=name, password=PASSWORD, role=role, actor=SYSTEM)


def make_alice() -> User:
    return make_user("Alice", role=Role.ADMIN)


def make_bob() -> User:
    return make_user("Bob", role=Role.EDITOR)


def make_charlie() -> User:
    return make_user("Charlie", role=Role.VIEWER)


def make_key(*scopes: str, name: str = "web shop") -> tuple[ApiKey, str]:
    """An API key and its token."""
    return keys.create_key(name, scopes, actor=SYSTEM)
