"""What an export owes each candidate: what the schedule wants now against what the ledger says the destination holds.

Reads, and fills temporary tables: `export_wanted`, then `export_taken` (what stands at the destination under a key
that passes from one profile to another) and at last `export_decision`. `schedules/ledger/owing.py` acts on them.

The actions of a decision:

    none            not wanted, nothing known of it: nothing to do with this schedule; or the person is being erased,
                    which a run of its own does
    keep            the destination holds what is wanted
    settle          it does, and something else was owed or refused: that is dropped
    drop            nothing is wanted, held or in doubt any more: the row goes
    still_owed      what is owed already is what is wanted
    still_rejected  the destination refused exactly this: not again until it changes
    refuse          another profile stands for the same key
    owe             everything else
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import connection

from schedules import payloads
from schedules.payloads import ExportPlan

REFUSED = "Another profile is exported under this key already"


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many candidates met which action, and a few of those that were refused: (profile, key)."""

    actions: Mapping[str, int]
    refused: tuple[tuple[str, str], ...] = ()

    def count(self, *actions: str) -> int:
        """How many candidates met one of these actions."""
        return sum(self.actions.get(action, 0) for action in actions)


# Looks into the ledger are subselects for one row (`offset 0` keeps them so): from the candidates, by an index. As
# plain joins they went the other way round in a young ledger, of which the planner knows nothing: all of it against
# all candidates, at every step.

# Whoever claims a key that a candidate wants has to be looked at together with it, and so has whoever was refused a
# key that a candidate lets go.
_ADD_INVOLVED = """
    insert into export_candidate (profile_id)
    select claimed_by from export_wanted where claimed_by <> profile_id
    union
    select q.profile_id
      from export_wanted w
     cross join lateral (
           select profile_id from export_record
            where schedule_id = %(schedule)s and next_at is null and owed_key is not null
              and owed_key = w.claimed_key and claimed_key is distinct from owed_key
           offset 0) q
     where w.claimed_key is distinct from w.key and q.profile_id <> w.profile_id
    on conflict do nothing
"""

# Only a key without a unique rule behind it is ever wanted twice: whoever holds it keeps it, else the older profile.
_REFUSE_SECOND = """
    update export_wanted u set is_refused = true
      from (select profile_id, row_number() over (
                       partition by key order by coalesce(claimed_key = key, false) desc, profile_id) as place
              from export_wanted
             where key is not null) p
     where p.place > 1 and p.profile_id = u.profile_id
"""

# What stands under a wanted key on account of another profile: held by the one that claims it, held by one that is
# on its way to another key, or left behind by a call that was never answered.
_FIND_TAKEN = """
    insert into export_taken (key, from_id, to_id, payload, group_names, is_certain)
    select w.key, q.profile_id, w.profile_id, q.payload, q.group_names, true
      from export_wanted w
     cross join lateral (
           select profile_id, key, payload, group_names from export_record
            where schedule_id = %(schedule)s and profile_id = w.claimed_by offset 0) q
     where not w.is_refused and w.claimed_by <> w.profile_id and q.key = w.key
    union all
    select w.key, q.profile_id, w.profile_id, q.payload, q.group_names, true
      from export_wanted w
     cross join lateral (
           select profile_id, payload, group_names from export_record
            where schedule_id = %(schedule)s and key = w.key and key is not null and claimed_key is distinct from key
           offset 0) q
     where not w.is_refused and q.profile_id <> w.profile_id
    union all
    select w.key, q.profile_id, w.profile_id, e.value -> 'payload', e.value -> 'groups', false
      from export_wanted w
     cross join lateral (
           select profile_id, may_hold from export_record
            where schedule_id = %(schedule)s and profile_id = w.claimed_by offset 0) q
     cross join lateral jsonb_array_elements(q.may_hold) e
     where not w.is_refused and w.claimed_by <> w.profile_id and e.value ->> 'key' = w.key
    union all
    select w.key, q.profile_id, w.profile_id, e.value -> 'payload', e.value -> 'groups', false
      from (select profile_id, claimed_key, may_hold from export_record
             where schedule_id = %(schedule)s and may_hold is not null
               and (may_hold #>> '{0,key}' is distinct from claimed_key or may_hold -> 1 is not null)
           ) q
     cross join lateral jsonb_array_elements(q.may_hold) e
      join export_wanted w on w.key = e.value ->> 'key'
     where not w.is_refused and q.profile_id <> w.profile_id and q.claimed_key is distinct from w.key
"""

# `d` is what the destination should hold: as wanted; nothing; or, where the mode forbids removing, what it holds (or
# may hold) without its groups.
_DECIDE = """
    insert into export_decision (profile_id, is_known, action, key, payload, group_names)
    select w.profile_id,
           r.profile_id is not null,
           case
               when r.state = 'erasing' then 'none'
               when w.is_refused then 'refuse'
               when r.profile_id is null then case when d.key is null then 'none' else 'owe' end
               when r.may_hold is null and d.key is not distinct from r.key
                    and d.payload is not distinct from r.payload and d.group_names is not distinct from r.group_names
               then case when d.key is null then 'drop'
                         when r.state = 'held' and r.claimed_key = r.key then 'keep'
                         else 'settle' end
               when r.state in ('owed', 'rejected') and d.key is not distinct from r.owed_key
                    and d.payload is not distinct from r.owed_payload
                    and d.group_names is not distinct from r.owed_group_names
                    and r.claimed_key is not distinct from coalesce(d.key, r.key, r.may_hold #>> '{0,key}')
               then 'still_' || r.state
               else 'owe'
           end,
           d.key, d.payload, d.group_names
      from export_wanted w
      left join export_record r on r.schedule_id = %(schedule)s and r.profile_id = w.profile_id
     cross join lateral (
           select case when w.key is not null or %(removes)s then w.key
                       else coalesce(r.key, r.may_hold #>> '{0,key}') end as key,
                  case when w.key is not null or %(removes)s then w.payload
                       else coalesce(r.payload, r.may_hold #> '{0,payload}') end as payload,
                  case when w.key is not null or %(removes)s then w.group_names
                       when r.key is not null or r.may_hold is not null then '[]'::jsonb end as group_names
           ) d
"""


def find_wanted(plan: ExportPlan) -> bool:
    """Compute what is wanted for the candidates and everyone involved with them, and what changes hands for that.

    Returns whether anything does: then `owing.hand_over` comes before `decide`.
    """
    given = {"schedule": plan.schedule_id}
    payloads.compute_wanted(plan)
    with connection.cursor() as cursor:
        cursor.execute(_ADD_INVOLVED, given)
        while cursor.rowcount:
            payloads.compute_wanted(plan)
            cursor.execute(_ADD_INVOLVED, given)
        cursor.execute(_REFUSE_SECOND, given)
        cursor.execute(_FIND_TAKEN, given)
        return bool(cursor.rowcount)


def decide(plan: ExportPlan) -> Comparison:
    """Compare what is wanted with the ledger: one action for each candidate."""
    with connection.cursor() as cursor:
        cursor.execute(_DECIDE, {"schedule": plan.schedule_id, "removes": plan.removes})
        payloads.analyze("export_decision", "profile_id", "action")
        cursor.execute("select action, count(*) from export_decision group by action")
        actions = dict(cursor.fetchall())
        refused: tuple[tuple[str, str], ...] = ()
        if actions.get("refuse"):
            cursor.execute("select profile_id::text, key from export_decision where action = 'refuse' limit 5")
            refused = tuple(cursor.fetchall())
    return Comparison(actions, refused)
