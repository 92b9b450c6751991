"""The PostgreSQL plugin: import tables and queries, retrieve properties, export to tables."""

from __future__ import annotations

from plugins.contracts import AppSpec, Option, OptionKind
from plugins.postgres.destination import PostgresDestination
from plugins.sql.options import DATABASE, HOST, PASSWORD, STATEMENT_TIMEOUT, USER, port_option

__all__ = ["Postgres"]


class Postgres(PostgresDestination):
    """One PostgreSQL database."""

    spec = AppSpec(
        key="postgres",
        label="PostgreSQL",
        description="Import and export tables of a PostgreSQL database, and ask it for properties.",
        icon="database",
        categories=("database",),
        options=(
            HOST,
            port_option(5432),
            DATABASE,
            USER,
            PASSWORD,
            Option(
                "ssl_mode",
                "SSL",
                kind=OptionKind.CHOICE,
                default="prefer",
                choices=(
                    ("disable", "Never"),
                    ("prefer", "When the server offers it"),
                    ("require", "Always"),
                    ("verify-full", "Always, and check the server's certificate"),
                ),
            ),
            Option("schema", "Schema", placeholder="public", help="Where tables are looked for first."),
            STATEMENT_TIMEOUT,
        ),
    )
