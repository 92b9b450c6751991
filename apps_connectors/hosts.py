"""Keeps Apps away from hosts inside private networks, unless the installation allows them.

Whoever may make an App could otherwise look around in the network the product runs in.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit


def is_private(host: str) -> bool:
    """Whether any address of `host`, a name, an address, a URL or a socket's path, is not a public one.

    A name that cannot be resolved is not private: connecting to it says what is wrong.
    """
    name = urlsplit(host).hostname or "" if "://" in host else host.strip()
    if name.startswith(("/", "@", ".")):
        return True  # a socket on this machine
    try:
        found = socket.getaddrinfo(name.strip("[]"), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return any(not _is_public(str(address[0])) for *_, address in found)


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_global
