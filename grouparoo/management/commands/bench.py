"""`manage.py bench NAME --profiles N --json`: one benchmark (or all, small) on servers and databases of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from json import dumps
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg2
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from psycopg2 import sql

from grouparoo.running import process_env

_NAMES = (
    *("api", "export", "groups", "hydration", "incremental", "ingest"),
    *("isolation", "outbound", "pages", "pipeline", "upload", "workers"),
)
BENCHMARKS = {name: import_module(f"benchmarks.{name}").run for name in _NAMES}
SMALL = 10_000
_INSIDE = "GROUPAROO_BENCH_DATABASE"  # set in the process that runs on the benchmark's own database


class Command(BaseCommand):
    """Starts what the benchmark needs, runs it in a process of its own, and drops what it made."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """The name, the size, and how to print."""
        parser.add_argument("name", nargs="?", choices=sorted(BENCHMARKS), help="which; all of them when left out")
        parser.add_argument("--profiles", type=int, default=SMALL, help="how many units of work (default %(default)s)")
        parser.add_argument("--json", action="store_true", help="print one JSON object on the last line")

    def handle(self, *_: Any, name: str | None, profiles: int, json: bool, **__: Any) -> None:
        """Run one, or all of them after each other; exits non-zero when a check fails."""
        if os.environ.get(_INSIDE):
            self.run_here(name or "", profiles, as_json=json)
            return
        names = [name] if name else sorted(BENCHMARKS)
        failed = [one for one in names if not run_apart(one, profiles, as_json=json)]
        if failed:
            raise CommandError(f"Failed: {', '.join(failed)}")

    def run_here(self, name: str, profiles: int, *, as_json: bool) -> None:
        """Inside the process of its own: migrate, run, report."""
        call_command("migrate", verbosity=0)
        report = BENCHMARKS[name](profiles)
        result = report.as_json()
        if as_json:
            self.stdout.write(dumps(result))
        else:
            for key, value in result.items():
                self.stdout.write(f"{key:16} {value}")
        if report.failed_checks:
            raise CommandError("; ".join(report.failed_checks))


def run_apart(name: str, profiles: int, *, as_json: bool) -> bool:
    """Run one benchmark on a database that is made for it and dropped afterwards; whether it passed."""
    database = f"bench_{name}"
    url = urlsplit(settings.DATABASE_URL)
    admin_url, own_url = (urlunsplit(url._replace(path=f"/{one}")) for one in ("postgres", database))
    _run_on(admin_url, "drop database if exists {} with (force)", database)
    _run_on(admin_url, "create database {}", database)
    try:
        env = process_env("bench", database_url=own_url, redis_url=_other_redis(settings.REDIS_URL)) | {
            _INSIDE: database,
            "GROUPAROO_ALLOW_PRIVATE_HOSTS": "true",
        }
        command = [sys.executable, "manage.py", "bench", name, "--profiles", str(profiles)]
        return subprocess.run([*command, *(["--json"] if as_json else [])], env=env, check=False).returncode == 0
    finally:
        _run_on(admin_url, "drop database if exists {} with (force)", database)


def _other_redis(url: str) -> str:
    """The next Redis database, so that workers of the product itself do not take the benchmark's tasks."""
    return re.sub(r"(?<=db=)\d+$|(?<=/)\d+$", lambda number: str(int(number.group()) + 1), url)


def _run_on(url: str, statement: str, database: str) -> None:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(statement).format(sql.Identifier(database)))
    finally:
        connection.close()
