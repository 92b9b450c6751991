"""Reads the environment for `settings.py`, and says in plain words what is wrong with a value.

Every variable may also be given as NAME_FILE, a path to a file that holds the value (for container secrets). A file
`.env` in the project's folder is read too; the real environment wins over it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import environ
from cryptography.fernet import Fernet
from django.conf.locale import LANG_INFO
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

YES = ("1", "true", "yes", "on")
NO = ("0", "false", "no", "off")

# How a mail server is spoken to, and the port that is usual for it.
_EMAIL_PORTS = {"smtp": 25, "smtp+tls": 587, "smtp+ssl": 465}

env = environ.FileAwareEnv()


def read_text(name: str, *, default: str = "") -> str:
    """Return the value, or `default` when the variable is missing or empty."""
    try:
        return str(env.str(name, default="")).strip() or default
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE names a file that cannot be read: {error}") from error


def read_list(name: str, *, default: list[str]) -> list[str]:
    """Return comma-separated values without blanks."""
    return [part.strip() for part in read_text(name).split(",") if part.strip()] or default


def read_languages(name: str, *, always: str) -> list[tuple[str, str]]:
    """Return the languages of pages, each by its code and its own name; `always` is among them."""
    codes = dict.fromkeys([always, *read_list(name, default=[])])
    for code in codes:
        if "name_local" not in LANG_INFO.get(code, {}):
            raise ImproperlyConfigured(f"{name} names “{code}”. Set it to codes of languages, such as: en,de,pt-br.")
    return [(code, LANG_INFO[code]["name_local"]) for code in codes]


def read_bool(name: str, *, default: bool) -> bool:
    text = read_text(name).lower()
    if not text:
        return default
    if text not in YES + NO:
        raise ImproperlyConfigured(f"{name} is “{text}”. Set it to one of: {', '.join(YES + NO)}.")
    return text in YES


def read_int(name: str, *, default: int, least: int, most: int) -> int:
    text = read_text(name)
    if not text:
        return default
    if not text.isdecimal() or not least <= int(text) <= most:
        raise ImproperlyConfigured(f"{name} is “{text}”. Set it to a whole number from {least} to {most}.")
    return int(text)


def read_choice(name: str, *, default: str, choices: tuple[str, ...]) -> str:
    text = read_text(name, default=default)
    if text not in choices:
        raise ImproperlyConfigured(f"{name} is “{text}”. Set it to one of: {', '.join(choices)}.")
    return text


def read_url(name: str, *, default: str, schemes: tuple[str, ...], example: str) -> str:
    """Return a URL with one of `schemes`; the value itself is never repeated in an error, it may hold a password."""
    text = read_text(name, default=default)
    if text.partition("://")[0] not in schemes:
        raise ImproperlyConfigured(f"{name} has to begin with {' or '.join(s + '://' for s in schemes)}: {example}")
    return text


def read_email_url(name: str) -> dict[str, Any]:
    """Return Django's settings for sending email; with nothing in EMAIL_HOST when the variable is missing."""
    if not read_text(name):
        return {"EMAIL_HOST": "", "EMAIL_PORT": 25, "EMAIL_HOST_USER": "", "EMAIL_HOST_PASSWORD": ""}
    example = "smtp+tls://user:password@smtp.example.com:587"
    url = read_url(name, default="", schemes=tuple(_EMAIL_PORTS), example=example)
    found: dict[str, Any] = environ.Env.email_url_config(url)
    if not found["EMAIL_HOST"]:
        raise ImproperlyConfigured(f"{name} names no server. Write it like this: {example}")
    return {**found, "EMAIL_PORT": found["EMAIL_PORT"] or _EMAIL_PORTS[url.partition("://")[0]]}


def read_signing_key(name: str, *, kept_in: Path) -> str:
    """Return the key that signs sessions; without the variable, one that is made once and kept in a file."""
    return read_text(name) or keep(kept_in, get_random_secret_key())


def read_encryption_keys(name: str, *, kept_in: Path) -> list[str]:
    """Return the Fernet keys for secrets at rest, newest first; without the variable, one kept in a file."""
    keys = read_list(name, default=[]) or [keep(kept_in, Fernet.generate_key().decode())]
    for place, key in enumerate(keys, start=1):
        try:
            Fernet(key)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"Key {place} in {name} (or {kept_in}) is not 32 url-safe base64-encoded bytes. Make a key with: "
                'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
            ) from error
    return keys


def keep(path: Path, value: str) -> str:
    """Write `value` to `path` unless the file exists, and return what the file holds; safe between processes."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    if not path.exists():
        draft.touch(mode=0o600)
        draft.write_text(value)
        try:
            os.link(draft, path)  # either the whole file appears under its name, or another process was first
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
