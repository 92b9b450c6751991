"""python -m plugins.mailchimp.standin --port 8025 --file var/mailchimp.sqlite: the stand-in as a program of its own."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from plugins.mailchimp.standin.server import KEY, Server, Standin, merge_fields
from plugins.mailchimp.standin.store import Store

_USUAL = ("FNAME=text", "LNAME=text", "PHONE=phone", "LTV=number", "LOCALE=text")


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(description="Answers as Mailchimp's API does, and shows what it received.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--file", type=Path, required=True, help="where it remembers; made when it is missing")
    parser.add_argument("--key", default=KEY, help="the API key that it accepts (default: %(default)s)")
    parser.add_argument("--list", default="a1b2c3d4e5", help="the id of its audience (default: %(default)s)")
    parser.add_argument("--name", default="Newsletter", help="the audience's name (default: %(default)s)")
    parser.add_argument("--merge-field", action="append", default=[], metavar="TAG=TYPE", help="may be repeated")
    given = parser.parse_args()
    store = Store(given.file)
    pairs = (pair.partition("=") for pair in given.merge_field or _USUAL)
    store.add_list(given.list, given.name, merge_fields(**{tag: kind or "text" for tag, _, kind in pairs}))
    standin = Standin(store, given.key)
    server = Server(standin, host=given.host, port=given.port)
    signal.signal(signal.SIGTERM, _stop)
    print(f"Stand-in for Mailchimp on {standin.url} with the key {given.key}", flush=True)
    try:
        server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
        store.close()


def _stop(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
