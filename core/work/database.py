"""Which database this is: numbers of transactions mean something there and nowhere else."""

from __future__ import annotations

from django.db import connection


def identify() -> str:
    """The server's own identifier, its timeline, and the database on it. A restored or moved copy has another one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select concat_ws('/', s.system_identifier, c.timeline_id, d.oid)"
            " from pg_control_system() s, pg_control_checkpoint() c, pg_database d where d.datname = current_database()"
        )
        return str(cursor.fetchone()[0])
