"""People who sign in. The only writer of `User`, apart from Django's own note of the last sign-in."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext

from core.accounts import audit, sessions
from core.accounts.actors import SYSTEM, Actor
from core.accounts.models import NumberFormat, Role, User
from core.accounts.project import read_zone
from core.lib.errors import InvalidInput, NotFound, Refused


def create_user(email: str, *, name: str = "", password: str, role: str, actor: Actor) -> User:
    """Someone new. Raises InvalidInput for an address in use, an unknown role or a weak password."""
    user = User(email=read_email(email), name=name.strip()[:200], role=read_role(role))
    _set_password(user, password)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
            audit.record("person.create", user, after=_seen(user), actor=actor)
    except IntegrityError:
        message = gettext("There is someone with the address %(user)s already.") % {"user": user.email}
        raise InvalidInput(message, {"email": message}) from None
    return user


def is_first_wanted() -> bool:
    """Whether whoever comes may make the first admin: nobody is there yet, and the settings allow it."""
    return bool(settings.FIRST_ADMIN_IN_BROWSER) and not User.objects.exists()


def create_first_admin(email: str, *, name: str = "", password: str) -> User:
    """The first person of an empty installation, an admin. Raises Refused when someone else was first.

    Until it is decided nobody else can be added, by whatever way.
    """
    with transaction.atomic():
        if is_first_wanted():
            with connection.cursor() as cursor:
                cursor.execute("lock table person in share row exclusive mode")
        if not is_first_wanted():
            raise Refused(gettext("There is someone already: sign in, or ask an admin of your team for an account."))
        return create_user(email, name=name, password=password, role=Role.ADMIN, actor=SYSTEM)


def set_role(user_id: int, role: str, *, actor: Actor) -> User:
    """Give someone another role. Refused for the last admin."""
    return _change(user_id, {"role": read_role(role)}, actor=actor)


def set_active(user_id: int, active: bool, *, actor: Actor) -> User:
    """Switch an account off, which also ends its sessions, or on again. Refused for the last admin."""
    return _change(user_id, {"is_active": active}, actor=actor)


def rename(user_id: int, name: str, *, actor: Actor) -> User:
    """Change the name that the team sees."""
    return _change(user_id, {"name": name.strip()[:200]}, actor=actor)


def set_password(user_id: int, password: str, *, actor: Actor) -> User:
    """Change a password, which ends the person's sessions. Raises InvalidInput for a weak one."""
    with transaction.atomic():
        user = _lock(user_id)
        _set_password(user, password)
        user.save(update_fields=["password"])
        sessions.end_all(user.pk)
        audit.record("person.set_password", user, actor=actor)
    return user


def change_user(
    user_id: int,
    *,
    name: str | None = None,
    role: str | None = None,
    is_active: bool | None = None,
    time_zone: str | None = None,
    number_format: str | None = None,
    password: str | None = None,
    actor: Actor,
) -> User:
    """Change all that is given, or nothing when some of it cannot be."""
    with transaction.atomic():
        values: dict[str, Any] = {}
        if name is not None:
            values["name"] = name.strip()[:200]
        if role is not None:
            values["role"] = read_role(role)
        if is_active is not None:
            values["is_active"] = is_active
        if time_zone is not None:
            values["time_zone"] = _read_zone(time_zone)
        if number_format is not None:
            values["number_format"] = _read_number_format(number_format)
        if password is not None:
            set_password(user_id, password, actor=actor)
        return _change(user_id, values, actor=actor)


def _change(user_id: int, values: dict[str, Any], *, actor: Actor) -> User:
    with transaction.atomic():
        # Every admin's row is locked, in one order, so that two admins cannot demote each other at the same time.
        admins = list(
            User.objects.select_for_update(no_key=True).filter(role=Role.ADMIN, is_active=True).order_by("pk")
        )
        user = _lock(user_id)
        before = _seen(user)
        for field, value in values.items():
            setattr(user, field, value)
        if [admin.pk for admin in admins] == [user.pk] and not (user.role == Role.ADMIN and user.is_active):
            raise Refused(gettext("This is the last admin. Make someone else an admin first."))
        if _seen(user) != before:
            user.save(update_fields=list(values))
            audit.record("person.update", user, before=before, after=_seen(user), actor=actor)
            if not user.is_active:
                sessions.end_all(user.pk)
    return user


def _lock(user_id: int) -> User:
    user = User.objects.select_for_update(no_key=True).filter(pk=user_id).first()
    if user is None:
        raise NotFound(gettext("There is no such person."))
    return user


def _seen(user: User) -> dict[str, Any]:
    return {
        field: getattr(user, field) for field in ("email", "name", "role", "is_active", "time_zone", "number_format")
    }


def read_email(text: str) -> str:
    """An address as it is kept. Raises InvalidInput."""
    email = text.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        message = gettext("“%(text)s” is not an email address.") % {"text": text}
        raise InvalidInput(message, {"email": message}) from None
    return email


def read_role(role: str) -> Role:
    """Raises InvalidInput for a role that there is not."""
    if role not in Role.values:
        message = gettext("There is no role “%(role)s”. Choose one of: %(values)s.") % {
            "role": role,
            "values": ", ".join(Role.values),
        }
        raise InvalidInput(message, {"role": message})
    return Role(role)


def _read_zone(name: str) -> str:
    """A time zone's name, or "" for the project's."""
    try:
        return read_zone(name) if name else ""
    except ValueError as error:
        raise InvalidInput(str(error), {"time_zone": str(error)}) from None


def _read_number_format(name: str) -> str:
    if name not in NumberFormat.values:
        message = gettext("There is no number format “%(name)s”. Choose one of: %(values)s.") % {
            "name": name,
            "values": ", ".join(NumberFormat.values),
        }
        raise InvalidInput(message, {"number_format": message})
    return name


def _set_password(user: User, password: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        message = " ".join(error.messages)
        raise InvalidInput(message, {"password": message}) from None
    user.set_password(password)
