"""What groups have in common and how their members differ: overlap, breakdown, the values of a property. Reads only.

A page waits for the answer, so of many people some ten thousand are looked at, and the numbers are said to be about so.
The same pages of the table are drawn each time, so that an answer stays what it was while nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from django.db import OperationalError, connection, transaction
from django.utils.translation import gettext
from psycopg2 import sql

from core.accounts import project
from core.lib.errors import InvalidInput, Refused
from core.ui.counting import Question, estimate
from core.ui.wording import number, rounded, value_text
from profiles.models import ProfilePropertyRule

LIMIT_MS = 5_000
MOST_GROUPS, MOST_VALUES, RANGES = 8, 20, 10
FEW, SAMPLED = 30_000, 10_000  # so many people are all looked at; of more, about this many
_CANCELED = "57014"  # PostgreSQL's code for a statement that ran into its time limit
_NUMBERS = ("integer", "float")

_OVERLAP = """
select groups, count(*) from (
    select array_agg(group_id order by group_id) as groups
      from group_member where group_id = any(%s) group by profile_id
) as combined group by groups order by count(*) desc, groups
"""
_SAMPLED_OVERLAP = """
select groups, count(*) from (select guid from profile tablesample system (%s) repeatable (0)) p
 cross join lateral (select array_agg(m.group_id order by m.group_id) as groups
                       from group_member m where m.profile_id = p.guid and m.group_id = any(%s)) m
 where groups is not null group by groups order by count(*) desc, groups
"""
_MEMBERS = sql.SQL(
    "with held as materialized (select p.properties -> %s as value from profile p{} where p.merged_into is null{}) "
)
_OF_GROUP = sql.SQL(" and p.guid = any(array(select m.profile_id from group_member m{} where m.group_id = {}))")
_SAMPLE = sql.SQL(" tablesample system ({}) repeatable (0)")
_TOP = sql.SQL("""
select value #>> '{{}}', count(*), sum(count(*)) over (), count(*) over () from (
    {values}
) as listed group by 1 order by 2 desc, 1 limit %s
""")
_SINGLE = sql.SQL("select value from held where value is not null")
_ITEMS = sql.SQL(
    "select listed.item as value from held, jsonb_array_elements(held.value) as listed(item)"
    " where jsonb_typeof(held.value) = 'array'"
)
_SPAN = """
select least, greatest, distinct_values from (
    select min(value::numeric) as least, max(value::numeric) as greatest, count(distinct value) as distinct_values
      from held where value is not null
) as span
"""
_BUCKETS = """
select width_bucket(value::numeric, %s, %s, %s), count(*) from held where value is not null group by 1 order by 1
"""
_PERIODS = """
select to_char(date_trunc(%s, (value #>> '{}')::timestamptz at time zone %s), %s), count(*)
  from held where value is not null group by 1 order by 1
"""


@dataclass(frozen=True, slots=True)
class Combination:
    """People who are in exactly these of the groups that were asked about."""

    group_ids: tuple[int, ...]
    people: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """How groups overlap. `sizes` by group; `pairs`: how many are in both, for each two of them."""

    sizes: Mapping[int, int]
    combinations: tuple[Combination, ...]
    pairs: Mapping[tuple[int, int], int]
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class Part:
    """People with one value, or with values of one range or period, as text."""

    label: str
    people: int
    value: str | None = None  # the value itself, where it is a single one


@dataclass(frozen=True, slots=True)
class Breakdown:
    """People by a property. Of an array everyone counts for each item. `rest` have other values than `parts` say."""

    everyone: int
    parts: tuple[Part, ...]
    rest: int
    without_value: int
    is_exact: bool = True


def overlap(group_ids: Sequence[int]) -> Overlap:
    """Raises InvalidInput unless 2 to 8 groups are given, Refused when it takes too long."""
    asked = sorted(set(group_ids))
    if not 2 <= len(asked) <= MOST_GROUPS:
        raise InvalidInput(
            gettext("Choose 2 to %(most_groups)s groups.") % {"most_groups": MOST_GROUPS},
            {"groups": gettext("Choose 2 to %(most_groups)s groups.") % {"most_groups": MOST_GROUPS}},
        )
    about = estimate(
        {"members": Question("group_member where group_id = any(%s)", [asked]), "people": Question("profile")}
    )
    share = _share_of(about["members"], about["people"])
    with _patiently() as cursor:
        if share == 1:
            cursor.execute(_OVERLAP, [asked])
        else:
            cursor.execute(_SAMPLED_OVERLAP, [100 * share, asked])
        combinations = tuple(Combination(tuple(row[0]), _project(row[1], share)) for row in cursor.fetchall())
    sizes = dict.fromkeys(asked, 0)
    pairs = {(one, other): 0 for one in asked for other in asked if one < other}
    for each in combinations:
        for one in each.group_ids:
            sizes[one] += each.people
        for pair in pairs:
            if set(pair) <= set(each.group_ids):
                pairs[pair] += each.people
    return Overlap(sizes, combinations, pairs, is_exact=share == 1)


def break_down(rule: ProfilePropertyRule, *, group_id: int | None = None, most: int = MOST_VALUES) -> Breakdown:
    """Members of a group, or everyone, by a property. Raises Refused when it takes too long."""
    if group_id is None:
        share = _share_of(estimate({"people": Question("profile")})["people"])
        held = _MEMBERS.format(_sample(share), sql.SQL(""))
    else:
        share = _share_of(estimate({"members": Question("group_member where group_id = %s", [group_id])})["members"])
        held = _MEMBERS.format(sql.SQL(""), _OF_GROUP.format(_sample(share), sql.Literal(group_id)))
    reader = _Reader(rule, held, most)
    with _patiently() as cursor:
        cursor.execute(
            sql.SQL("{}select count(*), count(*) filter (where value is null) from held").format(reader.held),
            [rule.key],
        )
        everyone, without = cursor.fetchone()
        parts, rest = reader.read(cursor) if everyone > without else ((), 0)
    return Breakdown(
        _project(everyone, share),
        tuple(replace(part, people=_project(part.people, share)) for part in parts),
        _project(rest, share),
        _project(without, share),
        is_exact=share == 1,
    )


def _share_of(about: int, whole: int | None = None) -> float:
    """The part of `whole` that is looked at when about so many are concerned: everything where these are few."""
    return 1 if about <= FEW else min(1.0, SAMPLED / max(1, whole or about))


def _sample(share: float) -> sql.Composable:
    return sql.SQL("") if share == 1 else _SAMPLE.format(sql.Literal(100 * share))


def _project(people: int, share: float) -> int:
    """How many there are about, when so many were found in a part of all."""
    return people if share == 1 else rounded(round(people / share))


@dataclass(frozen=True, slots=True)
class _Reader:
    """The values of one property among some people."""

    rule: ProfilePropertyRule
    held: sql.Composed
    most: int

    def read(self, cursor: Any) -> tuple[tuple[Part, ...], int]:
        """The parts, and how many people have none of these values."""
        if not self.rule.is_array and self.rule.type == "date":
            return self._periods(cursor), 0
        if not self.rule.is_array and self.rule.type in _NUMBERS:
            self._ask(cursor, _SPAN)
            least, greatest, values = cursor.fetchone()
            if values > self.most:
                return self._ranges(cursor, least, greatest), 0
        return self._top(cursor)

    def _top(self, cursor: Any) -> tuple[tuple[Part, ...], int]:
        values = _ITEMS if self.rule.is_array else _SINGLE
        cursor.execute(sql.SQL("{}{}").format(self.held, _TOP.format(values=values)), [self.rule.key, self.most])
        rows = cursor.fetchall()
        parts = tuple(Part(self._say(row[0]), row[1], row[0]) for row in rows)
        return parts, int(rows[0][2]) - sum(part.people for part in parts) if rows else 0

    def _ranges(self, cursor: Any, least: Any, greatest: Any) -> tuple[Part, ...]:
        width = (greatest - least) / RANGES
        self._ask(cursor, _BUCKETS, least, greatest, RANGES)
        people: dict[int, int] = {}
        for bucket, count in cursor.fetchall():
            people[min(bucket, RANGES)] = (
                people.get(min(bucket, RANGES), 0) + count
            )  # the greatest itself is the last's
        edges = [float(least + width * step) for step in range(RANGES + 1)]
        return tuple(
            Part(
                gettext("%(least)s to %(most)s") % {"least": number(edges[step]), "most": number(edges[step + 1])},
                people.get(step + 1, 0),
            )
            for step in range(RANGES)
        )

    def _periods(self, cursor: Any) -> tuple[Part, ...]:
        zone = str(project.current().time_zone)
        for period, form in (("month", "YYYY-MM"), ("year", "YYYY")):
            self._ask(cursor, _PERIODS, period, zone, form)
            rows = cursor.fetchall()
            if len(rows) <= 2 * self.most:
                break
        return tuple(Part(label, count) for label, count in rows)

    def _ask(self, cursor: Any, statement: str, *params: Any) -> None:
        cursor.execute(sql.SQL("{}{}").format(self.held, sql.SQL(statement)), [self.rule.key, *params])

    def _say(self, text: str) -> str:
        if self.rule.type == "boolean":
            return gettext("Yes") if text == "true" else gettext("No")
        return number(float(text)) if self.rule.type in _NUMBERS else value_text(text, self.rule.type, is_identity=True)


@contextmanager
def _patiently() -> Iterator[Any]:
    """A cursor whose statements may take so long, each."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("select set_config('statement_timeout', %s, true)", [str(LIMIT_MS)])
            cursor.execute("set local work_mem = '256MB'; set local jit = off")
            yield cursor
            cursor.execute("set local statement_timeout = 0")  # the caller's transaction goes on without it
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", None) != _CANCELED:
            raise
        raise Refused(
            gettext("This took longer than %(seconds)s seconds and was given up. Ask for less.")
            % {"seconds": f"{LIMIT_MS / 1000:g}"}
        ) from error
