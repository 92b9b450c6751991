"""The PostgreSQL plugin: import tables and queries, retrieve properties, export to tables."""

from __future__ import annotations

from plugins.postgres.app import Postgres

__all__ = ["Postgres"]
