"""The PostgreSQL plugin: import tables and queries, retrieve properties, export to tables."""

from __future__ import annotations

from plugins.contracts import AppSpec, Option
from plugins.postgres.destination import PostgresDestination
from plugins.sql.options import DATABASE, HOST, PASSWORD, SSL_MODE, STATEMENT_TIMEOUT, USER, port_option

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
            SSL_MODE,
            Option("schema", "Schema", placeholder="public", help="Where tables are looked for first."),
            STATEMENT_TIMEOUT,
        ),
    )
