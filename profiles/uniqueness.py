"""Making a property unique that people have values of already: everyone's value becomes an identity, or none does.

Runs in the transaction of `profiles/rules.py`, which keeps every batch away meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.utils.translation import ngettext

from core.accounts import project
from core.lib.copying import copy_rows
from core.lib.errors import Refused
from core.lib.json import loads
from profiles.models import ProfilePropertyRule
from profiles.types import compare_key

_PAGE = 10_000
_EXAMPLES = 3
LOOKED_AT = 50_000  # people whose values a page can compare while someone waits
_FIRST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Simulation:
    """What would be if a property identified people: who shares a value would have to be one person."""

    shared_values: int
    people: int
    largest: int
    examples: list[str]
    is_complete: bool = True  # False: only the newest people were looked at, as many as `LOOKED_AT`


def simulate(rule: ProfilePropertyRule) -> Simulation:
    """Which people share a value now, among the newest `LOOKED_AT`; nothing changes."""
    blocked = list(project.current().blocked_values)
    with connection.cursor() as cursor:
        cursor.execute(
            "with looked as materialized (select properties ->> %s as value from profile"
            "  where merged_into is null order by guid desc limit %s)"
            " select count(*), coalesce(sum(people), 0), coalesce(max(people), 0),"
            " coalesce((array_agg(value order by people desc, value))[:%s], '{}'), (select count(*) from looked)"
            " from (select value, count(*) as people from looked"
            "        where value is not null and lower(value) <> all(%s) group by 1 having count(*) > 1) shared",
            [rule.key, LOOKED_AT, _EXAMPLES, blocked],
        )
        count, people, largest, examples, looked_at = cursor.fetchone()
    return Simulation(
        int(count), int(people), int(largest), [str(each) for each in examples], is_complete=looked_at < LOOKED_AT
    )


def claim_all(rule: ProfilePropertyRule) -> None:
    """Raises Refused, with the number of values that several people share and examples, and changes nothing then."""
    blocked = project.current().blocked_values
    with connection.cursor() as cursor:
        cursor.execute("create temporary table claimed (value text, profile_id uuid) on commit drop")
        for page in _values(rule.key):
            rows = [
                (compare_key(rule.type, value), guid)
                for guid, value in page
                if not isinstance(value, list) and str(value).lower() not in blocked
            ]
            copy_rows(cursor, "claimed", ("value", "profile_id"), rows)
        cursor.execute(
            "select count(*), (array_agg(value order by people desc, value))[:%s], sum(people)"
            " from (select value, count(*) as people from claimed group by value having count(*) > 1) shared",
            [_EXAMPLES],
        )
        count, examples, people = cursor.fetchone()
        if count:
            shown = ", ".join(f"“{value}”" for value in examples)
            text = ngettext(
                "%(rule)s cannot identify people: %(people)s people share %(count)s value of it, such as %(values)s.",
                "%(rule)s cannot identify people: %(people)s people share %(count)s values of it, such as %(values)s.",
                count,
            )
            raise Refused(text % {"rule": rule, "people": f"{people:,}", "count": f"{count:,}", "values": shown})
        cursor.execute(
            "insert into profile_identity (rule_id, value, profile_id)"
            " select %s, value, profile_id from claimed order by value",
            [rule.pk],
        )


def _values(key: str) -> Iterator[list[tuple[UUID, object]]]:
    """Everyone's value, in pages."""
    after = _FIRST
    with connection.cursor() as cursor:
        while True:
            cursor.execute(
                "select guid, (properties -> %s)::text from profile"
                " where guid > %s and merged_into is null and jsonb_exists(properties, %s) order by guid limit %s",
                [key, after, key, _PAGE],
            )
            rows = cursor.fetchall()
            if not rows:
                return
            after = rows[-1][0]
            yield [(guid, loads(text)) for guid, text in rows]
