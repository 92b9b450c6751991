"""The SQLite plugin: import tables and queries of a file, retrieve properties, export to tables."""

from __future__ import annotations

from plugins.contracts import AppSpec, Option
from plugins.sqlite.destination import SqliteDestination

__all__ = ["Sqlite"]


class Sqlite(SqliteDestination):
    """One SQLite file."""

    spec = AppSpec(
        key="sqlite",
        label="SQLite",
        description="Import and export tables of a SQLite file, and ask it for properties.",
        icon="database",
        categories=("database",),
        options=(Option("path", "Path", required=True, placeholder="/srv/shop.sqlite", help="Where the file lies."),),
        parallel_calls=2,
    )
