"""How many people have a value of each property: counted while there are few people, judged by a sample when many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from core.ui.counting import Question, count
from core.ui.wording import rounded
from profiles.meta import REJECTED

SAMPLED = 20_000  # people looked at; a page waits for this


@dataclass(frozen=True, slots=True)
class Coverage:
    """Shares in percent, of everyone or, where not `exact`, of a sample of blocks of the table."""

    known: float
    rejected: float
    exact: bool


@dataclass(frozen=True, slots=True)
class Counted:
    """The coverage of one property in people."""

    people: int
    with_value: int
    rejected: int
    is_exact: bool


def count_of(key: str) -> Counted:
    """The coverage of one property, by the key of its rule, in people: exactly where that is cheap."""
    parts = {
        "with_value": f"count(*) filter (where jsonb_exists(properties, '{key}'))",
        "rejected": f"count(*) filter (where property_meta -> '{key}' ->> {REJECTED} is not null)",
    }
    counted = count({"all": Question("profile where merged_into is null", parts=parts)})["all"]
    if counted.exact:
        return Counted(counted.all, counted.parts["with_value"], counted.parts["rejected"], is_exact=True)
    shares = measure([key]).get(key, Coverage(0.0, 0.0, exact=False))
    known, rejected = (rounded(round(counted.all * share / 100)) for share in (shares.known, shares.rejected))
    return Counted(counted.all, known, rejected, is_exact=False)


def measure(keys: Sequence[str]) -> dict[str, Coverage]:
    """The coverage of each of these properties, in one pass; empty while there is nobody."""
    if not keys:
        return {}
    with connection.cursor() as cursor:
        cursor.execute("select greatest(reltuples, 1) from pg_class where oid = 'profile'::regclass")
        share = min(100.0, 100.0 * SAMPLED / float(cursor.fetchone()[0]))
        cursor.execute(
            "select count(*), k.key, count(*) filter (where jsonb_exists(p.properties, k.key)),"
            f" count(*) filter (where p.property_meta -> k.key ->> {REJECTED} is not null)"
            " from profile p tablesample system (%s), unnest(%s::text[]) as k(key)"
            " where p.merged_into is null group by k.key",
            [share, list(keys)],
        )
        rows = cursor.fetchall()
    return {
        key: Coverage(known=100 * known / people, rejected=100 * rejected / people, exact=share >= 100)
        for people, key, known, rejected in rows
    }
