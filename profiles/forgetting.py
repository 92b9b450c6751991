"""Taking the values of a deleted rule out of profiles, page by page. Only the pipeline calls it."""

from __future__ import annotations

from uuid import UUID

from django.db import connection

_FIRST = UUID(int=0)

_FORGET = """
with held as (
    select guid, properties -> %(key)s as old from profile
     where guid > %(after)s and guid <= %(last)s
       and (jsonb_exists(properties, %(key)s) or jsonb_exists(property_meta, %(key)s))
     order by guid for no key update
), gone as (
    update profile p
       set properties = p.properties - %(key)s, property_meta = p.property_meta - %(key)s
      from held where p.guid = held.guid
    returning p.guid, held.old
)
insert into profile_change (profile_id, changes, cause)
select guid, jsonb_build_object(%(key)s::text, jsonb_build_array(old, null)), 'system' from gone where old is not null
"""


def forget_values(rule_id: int, key: str, *, after: UUID | None, limit: int) -> UUID | None:
    """Take a property away from the next `limit` profiles, in the caller's transaction; the last one, None at the end.

    The values are in the change log, so that what was exported of them is taken away too. Nothing about the person
    changed, so `updated_at` stays: groups may ask for it.
    """
    given: dict[str, int | str | UUID] = {"rule": rule_id, "key": key, "after": after or _FIRST, "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(
            "select max(guid::text)::uuid, count(*) from"
            " (select guid from profile where guid > %(after)s order by guid limit %(limit)s) page",
            given,
        )
        last, count = cursor.fetchone()
        if not count:
            return None
        given["last"] = last
        cursor.execute(_FORGET, given)
        ours = "where rule_id = %(rule)s and profile_id > %(after)s and profile_id <= %(last)s"
        cursor.execute(f"delete from profile_identity {ours}", given)
        cursor.execute(f"delete from profile_date {ours}", given)
    found: UUID = last
    return found
