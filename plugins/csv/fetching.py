"""A CSV file at an address: fetched whole, by way of at most a few redirects, none of which leads to a private host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from core.lib.pauses import read_retry_after
from plugins.contracts import Halt, Retry
from plugins.webhook.calling import Line, Reply
from plugins.webhook.receiver import Receiver, read_address

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

MOST_BYTES = 4 * 1024**3
MOST_SECONDS = 1800.0
_MOST_REDIRECTS = 5
_QUIET_SECONDS = 30.0  # without a byte
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LATER = frozenset({408, 425, 429})


def fetch(url: str, into: SupportsWrite[bytes], *, authorization: str, private_hosts_allowed: bool) -> None:
    """Write the file at `url` to `into`. Raises `Retry` when it did not come whole, `Halt` when it never will.

    The authorization is told to the host of `url` alone, and never without TLS where `url` has it.
    """
    first = address = read_address(url, seconds=_QUIET_SECONDS)
    for _ in range(_MOST_REDIRECTS + 1):
        is_known = (address.host, address.port, address.tls) == (first.host, first.port, first.tls)
        headers = {"Accept": "text/csv, */*;q=0.5", "Accept-Encoding": "identity"}
        if authorization and is_known:
            headers["Authorization"] = authorization
        reply = _ask(address, headers, into, private_hosts_allowed=private_hosts_allowed)
        if reply.status not in _REDIRECTS or "location" not in reply.headers:
            _judge(reply, address)
            return
        url = urljoin(url, reply.headers["location"])
        address = read_address(url, seconds=_QUIET_SECONDS)
    raise Halt(f"{first.host} sent us on more than {_MOST_REDIRECTS} times: give the address of the file itself.")


def _ask(
    address: Receiver, headers: Mapping[str, str], into: SupportsWrite[bytes], *, private_hosts_allowed: bool
) -> Reply:
    line = Line(address, private_hosts_allowed=private_hosts_allowed)
    return line.download(headers, into, seconds=MOST_SECONDS, most=MOST_BYTES)


def _judge(reply: Reply, address: Receiver) -> None:
    """Whether what came is a file."""
    if reply.status >= 500 or reply.status in _LATER:
        after = read_retry_after(reply.headers.get("retry-after", ""))
        raise Retry(f"{address.host} answered {reply.status} {reply.words}.", after=after)
    if reply.status != 200:
        raise Halt(
            f"{address.host} answered {reply.status} {reply.words}: look at the URL, and whether the file may be read"
            " without signing in."
        )
    if reply.headers.get("content-type", "").lower().startswith("text/html"):
        raise Halt(f"{address.host} answered with a web page, not with a file: look at the URL.")
