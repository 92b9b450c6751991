"""Full recalculation of a group whose rules changed: long work in slices of half a second, by profile id.

The work's mark is {"version", "backfill", "after", "size"}: for which rules it goes, which dates still have to be
filled in, the last profile done, and how many profiles a slice takes. When the rules change in between, it starts over.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.urls import reverse

from core.lib.errors import InvalidInput
from core.ui import notices
from core.ui.notices import News
from core.ui.wording import plural
from core.work import leases, wake
from core.work.leases import Lease
from core.work.models import WorkState
from groups import locks, membership
from groups.definitions import define
from groups.models import Group, GroupKind
from profiles import properties
from profiles.models import LAST_CHANGE, Profile
from profiles.queries import FEW, about_everyone
from profiles.ruleset import RULES_LOCK

KIND = "group"
SLICE_SECONDS = 0.5
BACKFILL_PROFILES = 5000
_FIRST_SIZE, _LEAST_SIZE, _GREATEST_SIZE = 10_000, 500, 1_000_000
_SAMPLED = 400  # profiles by which the end of a large slice is guessed


def start(group_id: int, *, version: int, dated: Iterable[int] = (), cause: str = "") -> None:
    """Recalculate a group soon, inside the transaction that made `version` of its rules.

    `dated` are rules whose ProfileDate rows are known to be complete; `cause` names who hears when it has ended.
    """
    mark = {"version": None, "wanted": version, "dated": sorted(dated)}
    leases.enqueue(kind=KIND, subject=str(group_id), mark=mark)
    notices.promise(cause, subject_of(group_id))
    wake.wake("groups")


def subject_of(group_id: int) -> str:
    """The name under which notices speak of a group's recalculation."""
    return f"group:{group_id}"


def recalculate_some() -> bool:
    """Go on with one recalculation for a while; whether it is worth coming back at once."""
    return leases.run_slice(KIND, _step)


def is_due() -> bool:
    """Whether any recalculation waits for a worker."""
    return leases.is_due(KIND)


def _step(lease: Lease) -> bool:
    """One short transaction of the work; False when it has ended or has to wait."""
    try:
        return _advance(lease)
    except InvalidInput as error:
        _fail(lease, error.message)
    except DatabaseError as error:
        lease.fail_slice(str(error))
    return False


def _advance(lease: Lease) -> bool:
    group = Group.objects.filter(pk=int(lease.subject), kind=GroupKind.CALCULATED).first()
    if group is None or lease.stop_requested:
        with transaction.atomic():
            lease.finish(state=WorkState.STOPPED)
            notices.withdraw(subject_of(int(lease.subject)))
        return False
    if lease.mark["version"] != group.rules_version:
        _begin(lease, group)
        return True
    if lease.mark["backfill"]:
        _backfill(lease)
        return True
    return _slice(lease, group.pk)


def _begin(lease: Lease, group: Group) -> None:
    """Wait until every batch that may not know these rules has committed, then start with the first profile."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s)", [RULES_LOCK])
    dated = lease.mark["dated"] if lease.mark.get("wanted") == group.rules_version else []
    backfill = sorted(undated_rules(group) - set(dated))
    mark = {"version": group.rules_version, "backfill": backfill, "after": None, "size": _FIRST_SIZE}
    with transaction.atomic():
        lease.hold(mark=mark, done=0, total=about_everyone())


def undated_rules(group: Group) -> set[int]:
    """Rules of relative leaves whose ProfileDate rows may be incomplete: no group that follows them is calculated."""
    complete = {
        rule_id
        for other in Group.objects.filter(calculated_version=F("rules_version"), rule_uses__swept_until__isnull=False)
        for rule_id in dates_of(other)
    }
    return dates_of(group) - complete


def dates_of(group: Group) -> set[int]:
    """The rules, or LAST_CHANGE, whose ProfileDate rows this group's relative leaves need."""
    uses = group.rule_uses.filter(swept_until__isnull=False)
    rules = set(uses.filter(rule__isnull=False).values_list("rule_id", flat=True))
    return rules | ({LAST_CHANGE} if uses.filter(field="updated_at").exists() else set())


def _backfill(lease: Lease) -> None:
    with transaction.atomic():
        last = properties.backfill_dates(
            lease.mark["backfill"], after=_uuid(lease.mark["after"]), limit=BACKFILL_PROFILES
        )
        mark = {**lease.mark, "backfill": [], "after": None}
        lease.hold(mark=mark if last is None else {**lease.mark, "after": str(last)})


def _slice(lease: Lease, group_id: int) -> bool:
    """Make the next profiles right. The group's lock first, then everything is read in new statements."""
    began, mark = time.monotonic(), lease.mark
    with transaction.atomic():
        locked = locks.lock(group_id)
        if locked is None or locked.version != mark["version"]:
            return True  # changed or deleted meanwhile: the next step sees to it
        after = _uuid(mark["after"])
        until, count = _find_end(after, mark["size"], left=max(0, (lease.total or 0) - lease.done))
        definition = define(group_id, locked.version, locked.rules)
        membership.recalculate_range(definition, locked.followers, after=after, until=until, now=locked.now)
        if until is None:
            return not _finish(lease, group_id, locked.version, done=lease.done + count)
        size = _fit(mark["size"], time.monotonic() - began)
        lease.hold(mark={**mark, "after": str(until), "size": size}, done=lease.done + count)
    return True


def _finish(lease: Lease, group_id: int, version: int, *, done: int) -> bool:
    """Mark the group as calculated; False, and nothing is marked, when its rules changed at the last moment."""
    current = Group.objects.filter(pk=group_id, rules_version=version)
    if not current.update(calculated_version=version, calculated_at=Now()):
        return False
    membership.record_sizes(group_id=group_id)
    lease.hold(mark=lease.mark, done=done, total=done)
    lease.finish()
    _tell(group_id)
    return True


def _fail(lease: Lease, reason: str) -> None:
    group, page = Group.objects.filter(pk=int(lease.subject)).first(), reverse("groups:show", args=[lease.subject])
    with transaction.atomic():
        lease.finish(state=WorkState.FAILED, error=reason)
        notices.keep(subject_of(int(lease.subject)), News("bad", f"“{group}” could not be calculated", page, reason))


def _tell(group_id: int) -> None:
    """Tell whoever asked for it, in the transaction that ends it."""
    group, page = Group.objects.get(pk=group_id), reverse("groups:show", args=[group_id])
    size = group.sizes.order_by("-day").values_list("size", flat=True).first() or 0
    news = News("ok", f"All members of “{group}” are found", page, f"{plural(size, 'person', 'people')}.")
    notices.keep(subject_of(group_id), news)


def _find_end(after: UUID | None, size: int, *, left: int) -> tuple[UUID | None, int]:
    """The last profile of a slice and how many it has; None for the last when the slice reaches the end.

    The end of a large slice is guessed by some pages of the table: to count all that is between costs as much as rules.
    """
    if size > FEW:
        until = _guess_end(after, size, share=min(1.0, _SAMPLED / size))
        return (until, size) if until is not None else (None, left)
    later = Profile.objects.order_by("guid").values_list("guid", flat=True)
    if after is not None:
        later = later.filter(guid__gt=after)
    last = later[size - 1 : size].first()
    return (last, size) if last is not None else (None, later.count())


def _guess_end(after: UUID | None, size: int, *, share: float) -> UUID | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "select guid from profile tablesample system (%s) where guid > %s order by guid offset %s limit 1",
            [100 * share, after or UUID(int=0), round(size * share)],
        )
        return next((row[0] for row in cursor.fetchall()), None)


def _fit(size: int, seconds: float) -> int:
    """The size of the next slice, so that it lasts half a second; at most four times as large."""
    fitting = int(size * min(4.0, SLICE_SECONDS / max(seconds, 0.001)))
    return max(_LEAST_SIZE, min(_GREATEST_SIZE, fitting))


def _uuid(value: Any) -> UUID | None:
    return None if value is None else UUID(value)
