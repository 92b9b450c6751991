#!/usr/bin/env python
"""Django's command line. Without DATABASE_URL and REDIS_URL the embedded servers run as long as a command does."""

from __future__ import annotations

import contextlib
import os
import sys

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from core.lib.servers import ServerError
from grouparoo.serving import hold_servers

NEED_NO_SERVER = ("check", "collectstatic", "compilemessages", "findstatic", "help", "makemessages", "version")


def main() -> None:
    """Run one management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "grouparoo.settings")
    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    needs_server = not (command in NEED_NO_SERVER or command.startswith("-") or "--help" in sys.argv)
    try:
        is_embedded = settings.SERVERS_ARE_EMBEDDED
        with hold_servers() if needs_server and is_embedded else contextlib.nullcontext():
            execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"A setting is not right: {error}")
    except ServerError as error:
        sys.exit(f"The embedded servers cannot run: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
