"""API keys. The only writer of `ApiKey`. A token is shown once, when it is made; only its SHA-256 is kept."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext

from core.accounts import audit
from core.accounts.actors import Actor
from core.accounts.models import ApiKey
from core.accounts.permissions import SCOPES, unknown_scopes
from core.lib.errors import InvalidInput, NotFound

_PREFIX_LENGTH = 10  # enough to tell keys apart, of no use to guess the rest
_USE_IS_NOTED_EVERY = timedelta(minutes=1)


def create_key(
    name: str, scopes: Iterable[str], *, expires_at: datetime | None = None, actor: Actor
) -> tuple[ApiKey, str]:
    """A new key and its token, which nobody can see again. Raises InvalidInput."""
    wanted = sorted(set(scopes))
    problems = {}
    if not name.strip() or len(name.strip()) > 200:
        problems["name"] = gettext("Give the key a name of at most 200 characters, such as the program that uses it.")
    if unknown := unknown_scopes(wanted):
        problems["scopes"] = gettext("There is no scope %(unknown)s. Choose from: %(scopes)s.") % {
            "unknown": ", ".join(unknown),
            "scopes": ", ".join(SCOPES),
        }
    elif not wanted:
        problems["scopes"] = gettext("Choose at least one scope: %(scopes)s.") % {"scopes": ", ".join(SCOPES)}
    if expires_at is not None and expires_at <= timezone.now():
        problems["expires_at"] = gettext("The time at which the key expires has to lie ahead.")
    if problems:
        raise InvalidInput(" ".join(problems.values()), problems)
    token = "gr_" + secrets.token_urlsafe(32)
    with transaction.atomic():
        key = ApiKey.objects.create(
            name=name.strip(),
            prefix=token[:_PREFIX_LENGTH],
            token_hash=_hash(token),
            scopes=wanted,
            expires_at=expires_at,
            created_by_id=actor.id if actor.kind == "person" else None,
        )
        after = {"name": key.name, "prefix": key.prefix, "scopes": wanted, "expires_at": expires_at}
        audit.record("api_key.create", key, after=after, actor=actor)
    return key, token


def revoke_key(key_id: int, *, actor: Actor) -> ApiKey:
    """From now on the key opens nothing. Revoking it twice changes nothing."""
    with transaction.atomic():
        key = ApiKey.objects.select_for_update(no_key=True).filter(pk=key_id).first()
        if key is None:
            raise NotFound(gettext("There is no such API key."))
        if key.revoked_at is None:
            key.revoked_at = timezone.now()
            key.save(update_fields=["revoked_at"])
            audit.record("api_key.revoke", key, before={"revoked_at": None}, after=_revoked(key), actor=actor)
    return key


def authenticate(token: str) -> ApiKey | None:
    """The key this token belongs to, unless it is unknown, revoked or expired. Its use is noted once a minute."""
    key = _find(token)
    now = timezone.now()
    if key is None or (key.expires_at is not None and key.expires_at <= now):
        return None
    limit = now - _USE_IS_NOTED_EVERY
    if key.last_used_at is None or key.last_used_at < limit:
        unnoted = Q(last_used_at=None) | Q(last_used_at__lt=limit)
        ApiKey.objects.filter(unnoted, pk=key.pk).update(last_used_at=Now())
    return key


# Written out, since every call of the API asks this and the ORM takes longer to word it than PostgreSQL to answer.
_COLUMNS = [str(field.column) for field in ApiKey._meta.concrete_fields]  # noqa: SLF001  Django's documented API
_FIELDS = [field.attname for field in ApiKey._meta.concrete_fields]  # noqa: SLF001
_FIND = f"select {', '.join(_COLUMNS)} from api_key where token_hash = %s and revoked_at is null"


def _find(token: str) -> ApiKey | None:
    with connection.cursor() as cursor:
        cursor.execute(_FIND, [_hash(token)])
        row = cursor.fetchone()
    if row is None:
        return None
    values = dict(zip(_COLUMNS, row, strict=True))
    scopes = values["scopes"]
    values["scopes"] = json.loads(scopes) if isinstance(scopes, str) else scopes
    return ApiKey.from_db(connection.alias, _FIELDS, [values[column] for column in _COLUMNS])


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _revoked(key: ApiKey) -> dict[str, datetime | None]:
    return {"revoked_at": key.revoked_at}
