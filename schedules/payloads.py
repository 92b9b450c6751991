"""What an export Schedule wants each profile to look like at its destination: computed in SQL for many at once.

Works on temporary tables of the transaction: `export_candidate` (whom to look at) and `export_wanted` (what the
schedule wants for each: key null means "not there"; beside it the key that the profile claims in the ledger, and who
claims the wanted one). Reads profiles, memberships and the ledger, writes no table of the product.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils.translation import gettext
from psycopg2 import sql

from core.lib.errors import InvalidInput
from core.lib.json import dumps, loads
from plugins.contracts import Field, SyncMode, Target
from profiles.models import ProfilePropertyRule
from schedules import conversions
from schedules.conversions import AS_IS
from schedules.models import Schedule

FIELD_TYPES = "field_types"  # the option that names the types of those fields whose values are converted
_FIELDS_PER_OBJECT = 40  # PostgreSQL takes at most 100 arguments in one call


@dataclass(frozen=True, slots=True)
class MappedField:
    """A destination field and the property that feeds it.

    `type` is that under which the plugin gets its values, `convert` the SQL that makes them from the property's.
    """

    field: str
    key: str
    type: str
    convert: str = AS_IS


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """A schedule as an export needs it: whom it sends, under which key, with which fields and group names."""

    schedule_id: int
    app_id: int
    version: int
    mode: SyncMode
    everyone: bool
    key: MappedField
    fields: tuple[MappedField, ...]  # the key among them
    groups: tuple[tuple[int, str], ...]  # (group id, its name at the destination)
    target: Target

    @property
    def removes(self) -> bool:
        """Whether a profile that leaves is removed at the destination."""
        return self.mode is SyncMode.SYNC

    @property
    def group_ids(self) -> list[int]:
        """The ids of the groups whose membership matters here."""
        return [group_id for group_id, _ in self.groups]


def map_field(field: str, rule: ProfilePropertyRule, types: Mapping[str, str]) -> MappedField:
    """A property on its way to a field; `types` names those of the fields that have their own.

    Raises InvalidInput when the property cannot be converted (any more: its type may have changed).
    """
    type_ = types.get(field) or conversions.own_type(rule.type, is_array=rule.is_array)
    convert = conversions.find_sql(rule.type, type_, is_array=rule.is_array)
    if convert is None:
        raise InvalidInput(conversions.find_problem(rule, Field(field, type_)))
    return MappedField(field, rule.key, type_, convert)


def load_plan(schedule: Schedule) -> ExportPlan:
    """Read what a schedule sends; raises InvalidInput when that cannot be sent."""
    rows = schedule.fields.select_related("rule").order_by("pk")
    types = schedule.options.get(FIELD_TYPES, {})
    mapped = [(row.is_key, map_field(row.field, row.rule, types)) for row in rows]
    key = next((field for is_key, field in mapped if is_key), None)
    if key is None:
        raise InvalidInput(
            gettext("Choose the field by which the destination knows a person: this export has no key field.")
        )
    fields = tuple(field for _, field in mapped)
    groups = tuple(schedule.groups.order_by("name").values_list("group_id", "name"))
    return ExportPlan(
        schedule_id=schedule.pk,
        app_id=schedule.app_id,
        version=schedule.mapping_version,
        mode=SyncMode(schedule.mode),
        everyone=schedule.everyone,
        key=key,
        fields=fields,
        groups=groups,
        target=Target(
            options={key: value for key, value in schedule.options.items() if key != FIELD_TYPES},
            key_field=key.field,
            fields={field.field: field.type for field in fields},
            mode=SyncMode(schedule.mode),
            groups=tuple(name for _, name in groups),
        ),
    )


_TEMPORARY = {
    "export_candidate": "profile_id uuid primary key",
    "export_wanted": (
        "profile_id uuid primary key, key text, payload jsonb, group_names jsonb, is_refused boolean,"
        " claimed_key text, claimed_by uuid"
    ),
    "export_taken": "key text, from_id uuid, to_id uuid, payload jsonb, group_names jsonb, is_certain boolean",
    "export_decision": "profile_id uuid, is_known boolean, action text, key text, payload jsonb, group_names jsonb",
}


KEYED_PLANS = (
    "set local enable_hashjoin = off; set local enable_mergejoin = off;"
    " set local enable_seqscan = off; set local enable_material = off; set local enable_memoize = off;"
    " set local enable_bitmapscan = off"
)


def prepare() -> None:
    """Empty temporary tables for this transaction, and plans that stay keyed however large the product's tables are.

    A few thousand candidates meet tables of millions: left alone the planner may read those whole, once per batch, or
    even once per candidate while it still believes a young ledger to be small.
    """
    with connection.cursor() as cursor:
        for table, columns in _TEMPORARY.items():
            cursor.execute("select to_regclass(%s)", [f"pg_temp.{table}"])
            if cursor.fetchone()[0] is None:
                cursor.execute(f"create temporary table {table} ({columns}) on commit delete rows")
            cursor.execute(f"delete from {table}")
        cursor.execute(KEYED_PLANS)


def analyze(table: str, *columns: str) -> None:
    """Tell the planner how few rows a temporary table holds, and what these columns hold."""
    with connection.cursor() as cursor:
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        cursor.execute(sql.SQL("analyze {} ({})").format(sql.Identifier(table), names))


def add_everyone(plan: ExportPlan, *, after: UUID | None, limit: int) -> tuple[UUID | None, int]:
    """Make the next `limit` profiles that may concern the schedule candidates, in id order; for a full comparison.

    Those are the profiles it may send and those in its ledger, gone or not. Returns the last id (None: there are no
    more behind these) and how many they are.
    """
    source = (
        "(select guid as id from profile where guid > %(after)s order by guid limit %(limit)s)"
        if plan.everyone
        else "(select m.profile_id as id from unnest(%(groups)s::bigint[]) g cross join lateral"
        " (select profile_id from group_member where group_id = g and profile_id > %(after)s"
        " order by profile_id limit %(limit)s) m)"
    )
    with connection.cursor() as cursor:
        cursor.execute("set local enable_sort = off")  # each part comes in order from its index, and ends at the limit
        cursor.execute(
            "with added as (insert into export_candidate select id from ("
            f"{source} union (select profile_id from export_record where schedule_id = %(schedule)s"
            " and profile_id > %(after)s order by profile_id limit %(limit)s)"
            ") found order by id limit %(limit)s returning profile_id)"
            " select (select profile_id from added order by profile_id desc limit 1), (select count(*) from added)",
            {
                "after": after or UUID(int=0),
                "groups": plan.group_ids,
                "schedule": plan.schedule_id,
                "limit": limit,
            },
        )
        last, count = cursor.fetchone()
        cursor.execute("set local enable_sort = on")
    return (last if count == limit else None), int(count)


def count_everyone(plan: ExportPlan) -> int:
    """How many profiles a full comparison looks at, about: for the progress bar."""
    with connection.cursor() as cursor:
        if plan.everyone:
            cursor.execute("select greatest(reltuples, 0)::bigint from pg_class where oid = 'profile'::regclass")
        else:
            cursor.execute("select count(*) from group_member where group_id = any(%s)", [plan.group_ids])
        return int(cursor.fetchone()[0])


_MEMBER = """
    select jsonb_agg(%(names)s::jsonb -> m.group_id::text order by %(names)s::jsonb ->> m.group_id::text) as names
      from group_member m
     where m.profile_id = c.profile_id and m.group_id + 0 = any(%(groups)s::bigint[])
"""
_MEMBER_OF_NONE = "select null::jsonb as names"  # of an export that names no group nobody's memberships are read


def compute_wanted(plan: ExportPlan) -> None:
    """Fill `export_wanted` afresh for every candidate, in one statement and so from one moment.

    Wanted is a profile that is neither merged away nor being erased, has a value for the key, and is a member of a
    group of the schedule (or the schedule sends everyone).
    """
    payload, given = _payload(plan.fields)
    members = _MEMBER if plan.groups else _MEMBER_OF_NONE
    statement = f"""
        insert into export_wanted (profile_id, key, payload, group_names, is_refused, claimed_key, claimed_by)
        select c.profile_id, wanted.key,
               case when wanted.key is not null then {payload} end,
               case when wanted.key is not null then coalesce(member.names, '[]') end,
               false,
               r.claimed_key,
               case when r.claimed_key = wanted.key then c.profile_id
                    else (select q.profile_id from export_record q
                           where q.schedule_id = %(schedule)s and q.claimed_key = wanted.key) end
          from export_candidate c
          left join profile p on p.guid = c.profile_id and p.merged_into is null
                             and not exists (select from erased_profile x where x.profile_id = c.profile_id)
         cross join lateral ({members}) member
          left join export_record r on r.schedule_id = %(schedule)s and r.profile_id = c.profile_id
         cross join lateral (
                select case when p.properties ->> %(key)s <> '' and (%(everyone)s or member.names is not null)
                            then p.properties ->> %(key)s end as key
               offset 0) wanted
    """
    given |= {
        "schedule": plan.schedule_id,
        "key": plan.key.key,
        "groups": plan.group_ids,
        "names": dumps({str(group_id): name for group_id, name in plan.groups}),
        "everyone": plan.everyone,
    }
    with connection.cursor() as cursor:
        cursor.execute("delete from export_wanted")
        cursor.execute(statement, given)
    analyze("export_wanted", "profile_id", "key", "claimed_by")


def compute_one(fields: Sequence[MappedField], profile_id: UUID) -> dict[str, Any]:
    """What these fields hold for one profile."""
    payload, given = _payload(fields)
    with connection.cursor() as cursor:
        cursor.execute(
            f"select ({payload})::text from profile p where p.guid = %(profile)s", {**given, "profile": profile_id}
        )
        [(found,)] = cursor.fetchall()
    return dict(loads(found))


def _payload(fields: Sequence[MappedField]) -> tuple[str, dict[str, Any]]:
    """SQL for the object of all fields, and its parameters."""
    given: dict[str, Any] = {}
    parts = []
    for start in range(0, len(fields), _FIELDS_PER_OBJECT):
        pairs = []
        for number, field in enumerate(fields[start : start + _FIELDS_PER_OBJECT], start):
            given[f"field{number}"], given[f"key{number}"] = field.field, field.key
            value = field.convert.format(f"(p.properties -> %(key{number})s::text)")
            pairs.append(f"%(field{number})s::text, {value}")
        parts.append(f"jsonb_build_object({', '.join(pairs)})")
    return " || ".join(parts), given
