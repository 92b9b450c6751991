"""The key under which identities of erased people are hashed.

It is a key of its own, made with the first erasure and stored encrypted by the operator's keys: when these change it is
encrypted anew and every hash stays good. With `profiles/suppression.py` the only writer of `SuppressionKey`.
"""

from __future__ import annotations

import secrets

from django.conf import settings

from core.lib.secrets import decrypt, encrypt, rotate
from profiles.models import SuppressionKey

_NAME = "key"


def read_key() -> bytes | None:
    """The key; None while nobody was erased. Raises UnreadableSecrets: then nothing may come in unlooked at."""
    row = SuppressionKey.objects.filter(pk=1).first()
    return None if row is None else bytes.fromhex(decrypt(row.secret, settings.GROUPAROO_SECRET_KEYS)[_NAME])


def make_key() -> bytes:
    """The key, made if there is none, in the caller's transaction."""
    token = encrypt({_NAME: secrets.token_hex(32)}, settings.GROUPAROO_SECRET_KEYS)
    SuppressionKey.objects.bulk_create([SuppressionKey(pk=1, secret=token)], ignore_conflicts=True)
    key = read_key()
    assert key is not None  # noqa: S101  it was made above
    return key


def rotate_secrets() -> None:
    """Encrypt the key with the newest of the operator's keys, in the caller's transaction."""
    for row in SuppressionKey.objects.select_for_update(no_key=True):
        SuppressionKey.objects.filter(pk=row.pk).update(secret=rotate(row.secret, settings.GROUPAROO_SECRET_KEYS))
