"""What an App's options say of the receiver: its address, how messages to it are signed, what else goes along."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from standardwebhooks import Webhook

from plugins.contracts import Halt

LONGEST_WAIT = 30
_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)  # what the standard asks of a secret
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_VALUE = re.compile(r"[\t\x20-\x7e]+").fullmatch
_OURS = frozenset({"connection", "content-length", "content-type", "host", "idempotency-key", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where messages go. `secrets` are all texts that may not be repeated in anything people read."""

    host: str  # as it is looked up and as certificates name it
    port: int
    tls: bool
    path: str  # with the query
    signers: tuple[Webhook, ...]
    headers: Mapping[str, str]
    seconds: float
    secrets: tuple[str, ...]


def read_receiver(options: Mapping[str, Any]) -> Receiver:
    """The receiver that the options describe. Raises `Halt` with what to change, also when they only receive."""
    url = str(options.get("url") or "")
    if not url:
        raise Halt("This App has no URL, so it only receives: give it a URL and a signing secret to send anything.")
    address = read_address(url, seconds=LONGEST_WAIT)
    signing = str(options.get("secret") or "").split()
    headers = _read_headers(str(options.get("headers") or ""))
    return replace(
        address,
        signers=tuple(map(_read_secret, signing)) or _no_secret(),
        headers=headers,
        seconds=_read_seconds(options.get("timeout")),
        secrets=(*signing, *headers.values(), *(value.split(" ", 1)[-1] for value in headers.values())),
    )


def read_address(url: str, *, seconds: float) -> Receiver:
    """Where a URL leads to, for requests that are not signed. Raises `Halt` with what to change."""
    address = _read_url(url)
    tls = address.scheme == "https"
    return Receiver(
        host=_to_ascii(address.hostname or ""),
        port=address.port or (443 if tls else 80),
        tls=tls,
        path=quote(address.path or "/", safe="/%:@!$&'()*+,;=~") + _read_query(address),
        signers=(),
        headers={},
        seconds=seconds,
        secrets=(),
    )


def _read_url(text: str) -> SplitResult:
    try:
        address = urlsplit(text)
        usable = address.scheme in ("http", "https") and address.hostname and (address.port or 1)
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s\x00-\x20\x7f]", text):
        raise Halt("The URL has to begin with https:// and name a host, such as https://example.com/hooks/grouparoo.")
    if address.username or address.password:
        raise Halt("The URL holds a name or a password: put them into the headers, where they are kept encrypted.")
    return address


def _read_query(address: SplitResult) -> str:
    return "?" + quote(address.query, safe="/?%:@!$&'()*+,;=~") if address.query else ""


def _to_ascii(host: str) -> str:
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise Halt(f"“{host}” is not a host's name: look at the URL.") from None


def _read_secret(text: str) -> Webhook:
    wrong = Halt(
        "The signing secret has to be whsec_ followed by 24 to 64 bytes in base64. Copy it from the receiver, or make"
        " one with: echo whsec_$(openssl rand -base64 32)"
    )
    if not text.startswith(_PREFIX):
        raise wrong
    encoded = text.removeprefix(_PREFIX)
    try:
        key = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        raise wrong from None
    if len(key) not in _KEY_BYTES:
        raise wrong
    return Webhook(key)


def _no_secret() -> tuple[Webhook, ...]:
    raise Halt(
        "This App has no signing secret: give it one to send anything, or the receiver cannot tell our messages from"
        " anyone's."
    )


def _read_headers(text: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in re.split(r"[\r\n|]+", text):
        if not line.strip():
            continue
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or not _NAME(name) or not _VALUE(value):
            raise Halt("The headers have to be written as Name: value, one per line or with | between them.")
        if name.lower() in _OURS or name.lower().startswith("webhook-"):
            raise Halt(f"The header {name} is ours to set: take it out of the headers.")
        headers[name.lower()] = value
    return headers


def _read_seconds(value: Any) -> float:
    seconds = 10 if value is None else value
    if not 1 <= seconds <= LONGEST_WAIT:
        raise Halt(f"The time to wait for an answer has to lie between 1 and {LONGEST_WAIT} seconds.")
    return float(seconds)
