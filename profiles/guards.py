"""Good data is never replaced by an accident: a rule whose source suddenly knows nothing is not believed.

What hydration would blank is counted by rule over an hour. Past the project's share of the rule's values (and its
minimum) the answers of the batch are left out, so every value stays, and the rule is paused until a person has looked.
The only writer of `HydrationGuard`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from core.accounts import project
from core.lib.clock import from_us
from core.ui.wording import number
from profiles.hydration import Fetched
from profiles.models import HydrationGuard, Retrieval
from profiles.person import Person
from profiles.properties import type_value
from profiles.ruleset import Rule, RuleSet

WINDOW = timedelta(hours=1)
ACCEPTED_FOR = timedelta(hours=24)
_OF_ROWS = ("count", "sum")
_NOTHING = (0, "0", "0.0", False)  # as the types of properties hold it
_NOTE = """
insert into hydration_guard as g (rule_id, since, blanked)
select rule_id, %(now)s, blanked from unnest(%(rules)s::bigint[], %(counts)s::int[]) as b(rule_id, blanked)
 order by rule_id
on conflict (rule_id) do update set
    blanked = case when g.since < %(start)s then 0 else g.blanked end + excluded.blanked,
    since = case when g.since < %(start)s then excluded.since else g.since end,
    total = case when g.since < %(start)s then null else g.total end
"""


def judge(people: Sequence[Person], fetched: Fetched, rules: RuleSet, *, now_us: int) -> dict[int, int]:
    """How many values each rule's answers blank in this batch, by rule id; those not believed are taken out of it.

    Before anyone learned the answers. A rule that is not believed is in `fetched.gone` with the reason afterwards.
    """
    asked = {rule.key: rule for layer in rules.layers for rule in layer}
    blanks = Counter(
        key
        for person in people
        if not person.is_new
        for key, raw in fetched.values.get(person.guid, {}).items()
        if key in asked and person.values.get(key) is not None and _is_blank(asked[key], raw, person.values[key])
    )
    if not blanks:
        return {}
    held = {guard.rule_id: guard for guard in HydrationGuard.objects.filter(rule_id__in=[asked[k].id for k in blanks])}
    now = from_us(now_us)
    for key, count in list(blanks.items()):
        reason = _find_reason(asked[key], count, held.get(asked[key].id), now=now)
        if reason:
            del blanks[key]
            _leave_out(key, reason, people, fetched)
    return {asked[key].id: count for key, count in blanks.items()}


def note(blanks: Mapping[int, int], *, now_us: int) -> None:
    """Count what a batch blanked, in its transaction."""
    if not blanks:
        return
    now = from_us(now_us)
    with connection.cursor() as cursor:
        given: dict[str, Any] = {"now": now, "start": now - WINDOW}
        given |= {"rules": list(blanks), "counts": list(blanks.values())}
        cursor.execute(_NOTE, given)


def accept(rule_id: int) -> None:
    """A person looked: what the source says is believed for a day. In the caller's transaction."""
    until = timezone.now() + ACCEPTED_FOR
    HydrationGuard.objects.update_or_create(
        rule_id=rule_id, defaults={"since": timezone.now(), "blanked": 0, "total": None, "accepted_until": until}
    )


def _is_blank(rule: Rule, raw: Any, held: Any) -> bool:
    """Whether an answer takes a value away; a count or a sum of no rows is 0, where there were some."""
    if raw is None or raw == "":
        return True
    if raw == held:
        return False
    value = type_value(rule, raw)[0]
    return value is None or (_counts_rows(rule) and value in _NOTHING and held not in _NOTHING)


def _counts_rows(rule: Rule) -> bool:
    return rule.retrieval == Retrieval.COLUMN and rule.column.get("aggregation") in _OF_ROWS


def _find_reason(rule: Rule, count: int, guard: HydrationGuard | None, *, now: Any) -> str:
    """Why the answers are not believed; "" when they are."""
    settings = project.current()
    if guard is not None and guard.accepted_until is not None and guard.accepted_until > now:
        return ""
    is_current = guard is not None and guard.since >= now - WINDOW
    blanked = count + (guard.blanked if guard is not None and is_current else 0)
    if blanked < settings.guard_minimum:
        return ""
    total = guard.total if guard is not None and is_current else None
    if total is None:
        total = _count_values(rule.key) + (blanked - count)
        if guard is not None and is_current:
            HydrationGuard.objects.filter(rule_id=rule.id).update(total=total)
    if blanked <= settings.guard_share * total:
        return ""
    share = f"{100 * blanked / max(total, 1):.0f}"
    return (
        f"Within an hour its source lost the value of {number(blanked)} of {number(total)} people ({share} %), which"
        " looks like an accident. Look at the source; if this is right, ask for it again."
    )


def _count_values(key: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from profile where merged_into is null and jsonb_exists(properties, %s)", [key])
        return int(cursor.fetchone()[0])


def _leave_out(key: str, reason: str, people: Sequence[Person], fetched: Fetched) -> None:
    fetched.gone[key] = reason
    for person in people:
        answers = fetched.values.get(person.guid, {})
        if key in answers:
            del answers[key]
            fetched.fail(person.guid, key, reason)
