"""Which statements would read a large table as a whole, also where it is still small: what would not scale.

The planner is forbidden to read tables as a whole; where it does so all the same, no index serves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection, transaction

_LARGE = re.compile(
    r"^(profile|profile_identity|profile_change|profile_date|event|event_key|group_member|group_membership_change"
    r"|export_record|sent_log|outbound_delivery)(_default|_\d{8})?$"
)
_LONGEST = 200
# Statements that decide by themselves whether the table is small enough to be read.
_CAREFUL = ("pg_relation_size('profile')", "json_build_object('all', count(*)")


def find_whole_tables(act: Callable[[], object]) -> list[str]:
    """What `act` asks that reads all rows of a large table: the table and the statement's beginning, each once."""
    found: dict[str, None] = {}

    def explain(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        with connection.cursor() as cursor:
            asked = cursor.cursor.mogrify(sql, params).decode()
        if asked.lstrip().lower().startswith(("select", "with")) and not any(part in asked for part in _CAREFUL):
            for table in _tables_of(asked):
                found[f"{table}: {' '.join(asked.split())[:_LONGEST]}"] = None
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        act()
    return list(found)


def _tables_of(asked: str) -> set[str]:
    with transaction.atomic(), connection.cursor() as cursor:
        plain = cursor.cursor  # below the wrapper, which would explain the explanation
        plain.execute("set local enable_seqscan = off")
        plain.execute(f"explain (format json) {asked}")
        answer = plain.fetchone()[0]
        plain.execute("set local enable_seqscan = default")
    plan = (json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]
    return {table for table in _scanned(plan) if _LARGE.match(table)}


def _scanned(node: dict[str, Any], *, is_limited: bool = False) -> Iterator[str]:
    """Tables that are read from end to end; not those of which a LIMIT right above takes the first few rows."""
    if node["Node Type"] in {"Seq Scan", "Parallel Seq Scan"} and not (is_limited and "Filter" not in node):
        yield re.sub(r"_(default|\d{8})$", "", node["Relation Name"])
    for below in node.get("Plans", ()):
        yield from _scanned(below, is_limited=node["Node Type"] == "Limit")
