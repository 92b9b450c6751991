"""A mail server, as far as a client needs one: it takes letters, keeps them, or refuses as a real one does.

with run_mail_server() as server:
    settings.EMAIL_HOST, settings.EMAIL_PORT = server.host, server.port
    server.refuses = b"550 5.1.1 No such mailbox"    # what it answers to each recipient from now on
    ...
    [letter] = server.letters
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any


@dataclass
class MailServer:
    """What arrived, and how the next letters are answered."""

    host: str = "127.0.0.1"
    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    refuses: bytes = b""
    cuts: bool = False  # hangs up after its greeting


class _Conversation(StreamRequestHandler):
    """One connection, by RFC 5321."""

    def handle(self) -> None:
        server: MailServer = self.server.mail  # type: ignore[attr-defined]  # set below
        self._say(b"220 mail.example.com ready")
        if server.cuts:
            return
        for line in self.rfile:
            word = line[:4].upper().strip()
            if word == b"DATA":
                self._say(b"354 go on")
                server.letters.append(self._read_letter())
                self._say(b"250 taken")
            elif word == b"RCPT" and server.refuses:
                self._say(server.refuses)
            elif word == b"QUIT":
                self._say(b"221 bye")
                return
            else:
                self._say(b"250 mail.example.com")

    def _read_letter(self) -> EmailMessage:
        lines = []
        for line in self.rfile:
            if line.rstrip(b"\r\n") == b".":
                break
            lines.append(line.removeprefix(b"."))
        return message_from_bytes(b"".join(lines), policy=policy.default)

    def _say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")


class _Server(ThreadingTCPServer):
    daemon_threads = True
    mail: MailServer


@contextmanager
def run_mail_server() -> Iterator[MailServer]:
    """Listen on a port of its own until the block ends."""
    mail = MailServer()
    with _Server((mail.host, 0), _Conversation) as server:
        server.mail = mail
        mail.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield mail
        server.shutdown()
        thread.join()


def use(settings: Any, server: MailServer) -> None:
    """Let the product send by this server."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"  # the test runner sets another one
    settings.EMAIL_HOST, settings.EMAIL_PORT = server.host, server.port
    settings.DEFAULT_FROM_EMAIL = "Grouparoo <grouparoo@example.com>"
