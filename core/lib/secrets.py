"""Secrets at rest: encryption, rotation of the keys, and keeping secrets out of texts. Pure; keys are passed in.

Keys are Fernet keys, newest first: the first one encrypts, all of them decrypt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from urllib.parse import quote, quote_plus

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

MASK = "••••"
_SHORTEST_TO_SCRUB = 4  # replacing every "a" of a text would hide the text, not the secret


class UnreadableSecrets(Exception):
    """None of the keys opens these secrets. Put back the key they were encrypted with, or type the secrets again."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


def encrypt(values: Mapping[str, str], keys: Sequence[str]) -> str:
    """One token for all values together; "" when there are none."""
    if not values:
        return ""
    return _lock(keys).encrypt(json.dumps(dict(values)).encode()).decode()


def decrypt(token: str, keys: Sequence[str]) -> dict[str, str]:
    """The values of a token made by `encrypt`. Raises UnreadableSecrets."""
    if not token:
        return {}
    try:
        opened: dict[str, str] = json.loads(_lock(keys).decrypt(token.encode()))
    except InvalidToken:
        raise UnreadableSecrets from None
    return opened


def rotate(token: str, keys: Sequence[str]) -> str:
    """The same values under the newest key. Raises UnreadableSecrets."""
    if not token:
        return ""
    try:
        return _lock(keys).rotate(token.encode()).decode()
    except InvalidToken:
        raise UnreadableSecrets from None


def scrub(text: str, secrets: Iterable[str]) -> str:
    """`text` with every secret masked, also where it stands percent-encoded, as in a URL, or quoted."""
    for form in _forms(tuple(secrets)):
        text = text.replace(form, MASK)
    return text


@lru_cache(maxsize=64)
def _forms(secrets: tuple[str, ...]) -> list[str]:
    """In which ways these secrets may be written, the longest first. Kept, as each answer of a tool is scrubbed."""
    forms = {
        form
        for secret in secrets
        if len(secret) >= _SHORTEST_TO_SCRUB
        for form in (secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1], json.dumps(secret)[1:-1])
    }
    return sorted(forms, key=len, reverse=True)


def _lock(keys: Sequence[str]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
