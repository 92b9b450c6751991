#!/usr/bin/env python
"""Django's command line. Without DATABASE_URL it starts the embedded servers for as long as a command runs."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    """Run one management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "grouparoo.settings")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
