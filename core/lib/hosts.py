"""Tells private hosts from public ones. Whoever may make an App could otherwise look around in the network the product
runs in. Asked when options are checked, and again by plugins that connect to an address a person typed.

A name may mean another address the next time it is looked up, so whoever connects uses the addresses it was given here.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

_EMBEDDING_IPV4 = ipaddress.ip_network("64:ff9b::/96")  # NAT64: the last 32 bits are an IPv4 address
_HANDED_OUT = ipaddress.ip_network("2000::/3")  # nothing else of IPv6 is one machine that everyone can reach


def is_private(host: str) -> bool:
    """Whether any address of `host`, a name, an address, a URL or a socket's path, is not a public one.

    A name that cannot be resolved is not private: connecting to it says what is wrong.
    """
    try:
        name = urlsplit(host).hostname or "" if "://" in host else host.strip()
    except ValueError:  # brackets without an address
        return False
    if name.startswith(("/", "@", ".")):
        return True  # a socket on this machine
    try:
        return not all(is_public(address) for address in find_addresses(name.strip("[]")))
    except OSError:
        return False


def find_addresses(name: str) -> Sequence[str]:
    """The addresses of a host's name, each once, in the order to try them. Raises OSError."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise OSError(f"{name} is not a host's name") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(text: str) -> bool:
    """Whether an address can be reached from everywhere, and is one machine's."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour
        if address in _EMBEDDING_IPV4:
            inside = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inside is not None:
            return is_public(str(inside))
        return address.is_global and address in _HANDED_OUT
    return address.is_global and not address.is_multicast
