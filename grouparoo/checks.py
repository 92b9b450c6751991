"""System checks of what one setting alone cannot show; `python manage.py check --database default` runs them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.db import DatabaseError, connections

from grouparoo.environment import read_text
from plugins import registry

LEAST_VERSION = 150000
LOCAL_HOSTS = {"localhost", "127.0.0.1", "[::1]"}


@checks.register(checks.Tags.security, deploy=True)
def check_keys_are_given(*, app_configs: Sequence[AppConfig] | None, **options: Any) -> list[checks.CheckMessage]:
    """Keys in a file of this machine are lost with it, and a second machine does not have them."""
    return [
        checks.Warning(
            f"{name} is not set: the key in {settings.VAR / 'keys'} is used.",
            hint="Set it in the environment before you run on more than one machine or in a container.",
            id=f"grouparoo.W00{number}",
        )
        for number, name in enumerate(("SECRET_KEY", "GROUPAROO_SECRET_KEYS"), start=1)
        if not read_text(name)
    ]


@checks.register(checks.Tags.security, deploy=True)
def check_https(*, app_configs: Sequence[AppConfig] | None, **options: Any) -> list[checks.CheckMessage]:
    """Passwords and personal data must not travel in the open."""
    if settings.HTTPS or set(settings.ALLOWED_HOSTS) <= LOCAL_HOSTS:
        return []
    return [
        checks.Warning(
            "ALLOWED_HOSTS names more than this machine, and HTTPS is off: sign-ins would travel in the open.",
            hint="Serve it over https and set HTTPS=true (and BEHIND_PROXY=true behind a proxy that ends TLS).",
            id="grouparoo.W003",
        )
    ]


@checks.register
def check_plugins(*, app_configs: Sequence[AppConfig] | None, **options: Any) -> list[checks.CheckMessage]:
    """A plugin by someone else that cannot be used is left out: nothing else is harmed, but people should know."""
    return [
        checks.Warning(
            f"The plugin {plugin.name} of the package {plugin.package or plugin.value} cannot be used:"
            f" {plugin.problem}",
            hint="Install a version that works, or uninstall the package. Apps of its types keep their settings.",
            id="grouparoo.W010",
        )
        for plugin in registry.broken()
    ]


@checks.register(checks.Tags.database)
def check_database(*, databases: Sequence[str] | None, **options: Any) -> list[checks.CheckMessage]:
    """The database answers, is PostgreSQL 15 or later, and stores UTF-8."""
    problems: list[checks.CheckMessage] = []
    for alias in databases or ():
        try:
            with connections[alias].cursor() as cursor:
                cursor.execute("select current_setting('server_version_num')::int, current_setting('server_encoding')")
                version, encoding = cursor.fetchone()
        except DatabaseError as error:
            problems.append(
                checks.Error(
                    f"The database does not answer: {str(error).strip()}",
                    hint="Look at DATABASE_URL: host, port, name, user and password, and whether the server runs.",
                    id="grouparoo.E001",
                )
            )
            continue
        if version < LEAST_VERSION:
            hint = "Use PostgreSQL 15 or later."
            problems.append(checks.Error(f"PostgreSQL {version // 10000} is too old.", hint=hint, id="grouparoo.E002"))
        if encoding != "UTF8":
            hint = "Create the database with: create database NAME encoding 'UTF8' template template0"
            problems.append(checks.Error(f"The database stores {encoding}, not UTF-8.", hint=hint, id="grouparoo.E003"))
    return problems
