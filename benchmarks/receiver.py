"""A receiver of signed events for `benchmarks/outbound.py`, in a process of its own: as quick as Python allows.

    python -m benchmarks.receiver PORT SECRET

It checks each signature, answers 200, and writes down the id, the person and the number of what it took, in the order
of arrival. GET /taken gives that as JSON, GET /count how many there are, DELETE forgets them.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sys
from base64 import b64decode, b64encode

_TAKEN = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'
_REFUSED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"


class Receiver(asyncio.Protocol):
    """One connection; `taken` is shared by all of them."""

    def __init__(self, key: bytes, taken: list[tuple[str, str, int]]) -> None:
        self.key, self.taken = key, taken
        self.transport: asyncio.Transport
        self.waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Take the requests that are complete."""
        self.waiting += data
        while (end := self.waiting.find(b"\r\n\r\n")) >= 0:
            lines = self.waiting[:end].decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            size = end + 4 + int(headers.get("content-length", 0))
            if len(self.waiting) < size:
                return
            body, self.waiting = self.waiting[end + 4 : size], self.waiting[size:]
            method, path, _ = lines[0].split(" ", 2)
            self.transport.write(self.answer(method, path, headers, body))

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
        """What one request is answered."""
        if method == "POST":
            return self.take(headers, body)
        if method == "DELETE":
            self.taken.clear()
        text = json.dumps(self.taken if path == "/taken" else len(self.taken)).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)

    def take(self, headers: dict[str, str], body: bytes) -> bytes:
        """Note what is signed well."""
        id_ = headers.get("webhook-id", "")
        signed = f"{id_}.{headers.get('webhook-timestamp', '')}.".encode() + body
        signature = b64encode(hmac.digest(self.key, signed, hashlib.sha256)).decode()
        if not hmac.compare_digest(headers.get("webhook-signature", ""), f"v1,{signature}"):
            return _REFUSED
        event = json.loads(body)
        self.taken.append((id_, str(event["profile"]["user_id"]), event["number"]))
        return _TAKEN


async def _serve(port: int, secret: str) -> None:
    key, taken = b64decode(secret.removeprefix("whsec_")), list[tuple[str, str, int]]()
    server = await asyncio.get_running_loop().create_server(lambda: Receiver(key, taken), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2]))
