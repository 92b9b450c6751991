"""Looks for texts in every row of every table: what proves that nothing of someone is left."""

from __future__ import annotations

from collections.abc import Collection

from django.db import connection
from psycopg2 import sql

_TABLES = """
select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p') and not c.relispartition and n.nspname = 'public' order by 1
"""


def find_everywhere(texts: Collection[str], *, but: Collection[str] = ()) -> dict[str, list[str]]:
    """The rows, as text, that hold one of these anywhere, by table; those of the tables in `but` are not looked at."""
    found: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_TABLES)
        tables = [name for (name,) in cursor.fetchall() if name not in but]
        assert len(tables) > 40
        for name in tables:
            statement = sql.SQL("select t::text from {} t where t::text ilike any(%s)").format(sql.Identifier(name))
            cursor.execute(statement, [[f"%{text}%" for text in texts]])
            if rows := [row[0] for row in cursor.fetchall()]:
                found[name] = rows
    return found
