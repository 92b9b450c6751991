"""Who signs in to the demo: one admin, whose password is made once per installation and kept beside its keys."""

from __future__ import annotations

import secrets

from django.conf import settings

from core.accounts import people
from core.accounts.actors import SYSTEM
from core.accounts.models import Role, User
from grouparoo.environment import keep

EMAIL = "demo@example.com"


def ensure_login() -> None:
    """Make the admin, unless there is one of that address."""
    if not User.objects.filter(email=EMAIL).exists():
        people.create_user(EMAIL, name="Demo", password=password(), role=Role.ADMIN, actor=SYSTEM)


def say_login() -> list[str]:
    """With what to sign in; a password that a person has changed is theirs, and not known here."""
    user = User.objects.filter(email=EMAIL).first()
    if user is None or not user.check_password(password()):
        return [f"Sign in as {EMAIL}; its password was changed since the demo made it."]
    return ["Sign in with", f"  email     {EMAIL}", f"  password  {password()}"]


def password() -> str:
    """The admin’s, made when it is first asked for."""
    return keep(settings.VAR / "keys" / "demo-password", secrets.token_urlsafe(12))
