"""Sessions of browsers: Django's, in a table that also says whose each is and where and when it was used.

`SESSION_ENGINE` names this module. The only writer of `Session`: Django saves a session's data by `SessionStore`, which
takes the columns beside it from the data, so that a session is one row and one write.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.db import SessionStore as DatabaseSessions
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from core.accounts import audit
from core.accounts.actors import Actor
from core.accounts.models import Session, User

USE_IS_NOTED_EVERY = timedelta(minutes=5)
NEEDS_SECOND_FACTOR = "needs_second_factor"  # in the data of whoever has to set one up before anything else
_USE = "use"  # the key in a session's data


class SessionStore(DatabaseSessions):
    """One session, as Django loads and saves it."""

    @classmethod
    def get_model_class(cls) -> type[Session]:
        """The table."""
        return Session

    def create_model_instance(self, data: Mapping[str, Any]) -> Session:
        """The row of this data, with what is listed beside it."""
        row: Session = super().create_model_instance(data)  # type: ignore[assignment, arg-type]
        use = data.get(_USE) or {}
        row.person_id = int(data[SESSION_KEY]) if SESSION_KEY in data else None
        row.started_at, row.seen_at = (_read_time(use.get(name)) for name in ("started_at", "seen_at"))
        row.address, row.agent = use.get("address", ""), use.get("agent", "")
        return row


def note_use(session: SessionBase, *, address: str, agent: str) -> None:
    """Write down where and when a session of someone is used, once in five minutes or when the address is another."""
    use, now = session.get(_USE) or {}, timezone.now()
    address, agent = _storable(address, most=45), _storable(agent, most=300)
    seen_at = _read_time(use.get("seen_at"))
    if seen_at is not None and now - seen_at < USE_IS_NOTED_EVERY and use.get("address") == address:
        return
    session[_USE] = {
        "started_at": use.get("started_at") or now.isoformat(),
        "seen_at": now.isoformat(),
        "address": address,
        "agent": agent,
    }


def list_of(person_id: int) -> list[Session]:
    """Someone's sessions that are still good, the last used first."""
    return list(Session.objects.filter(person_id=person_id, expire_date__gt=Now()).order_by("-seen_at", "session_key"))


def name_of(session_key: str | None) -> str:
    """How a page names a session: its key opens the account, so it never stands on one."""
    return sha256((session_key or "").encode()).hexdigest()[:16]


def end(user: User, name: str, *, actor: Actor) -> int:
    """End one of someone's sessions; how many had this name: one, or none when it had ended already."""
    return _end(user, [each for each in list_of(user.pk) if name_of(each.session_key) == name], actor=actor)


def end_others(user: User, session_key: str | None, *, actor: Actor) -> int:
    """End all of someone's sessions but the one with this key; how many."""
    return _end(user, [each for each in list_of(user.pk) if each.session_key != session_key], actor=actor)


def end_all(person_id: int) -> None:
    """End all of someone's sessions, in the caller's transaction, which writes down why."""
    Session.objects.filter(person_id=person_id).delete()


def forget_expired() -> None:
    """Remove what lets nobody in any more."""
    SessionStore.clear_expired()


def _end(user: User, found: list[Session], *, actor: Actor) -> int:
    with transaction.atomic():
        count = Session.objects.filter(pk__in=[each.pk for each in found]).delete()[0]
        if count:
            audit.record("person.end_sessions", user, before={"sessions": [each.agent for each in found]}, actor=actor)
    return count


def _storable(text: str, *, most: int) -> str:
    return "".join(character for character in text[:most] if character.isprintable())


def _read_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
