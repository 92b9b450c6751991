"""Hydrate people again although no event is about them: those whose Apps were down, whoever a person asks for, and
everyone after a rule was changed. When a rule was deleted, its values are taken out of everyone in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.urls import reverse

from core.ui import notices
from core.ui.notices import News
from core.ui.wording import plural
from core.work.leases import Lease
from core.work.models import UNFINISHED, Work, WorkState
from pipeline.items import BatchResult
from pipeline.process import process
from profiles import hydration_retries, rules
from profiles.forgetting import forget_values
from profiles.models import Profile, ProfilePropertyRule, RuleState

BATCH = 500
FORGOTTEN = 5000  # profiles that lose a property in one transaction


@dataclass(frozen=True, slots=True)
class NoClaim:
    """Refreshing twice does no harm, so nothing has to be held."""

    def hold(self, _: BatchResult) -> None:
        """Always."""


def refresh(guids: Sequence[UUID]) -> BatchResult:
    """Ask every App again for these profiles, now."""
    return process([], claim=NoClaim(), refresh=guids)


@dataclass(frozen=True, slots=True)
class _PageClaim:
    """One page of everyone: the mark moves with what is written."""

    lease: Lease
    last: UUID
    count: int

    def hold(self, _: BatchResult) -> None:
        """Move the mark past this page; raises LostLease when another worker took over."""
        self.lease.hold(mark={"after": str(self.last)}, done=self.lease.done + self.count, total=_everyone(self.lease))


def go_through_everyone(lease: Lease) -> bool:
    """One step of what a change of a rule asks for; whether there is more."""
    if lease.subject.startswith(rules.FORGET):
        return _forget(lease, int(lease.subject.removeprefix(rules.FORGET)))
    return refresh_everyone(lease)


def _forget(lease: Lease, rule_id: int) -> bool:
    """Take a deleted rule's values out of the next profiles."""
    rule = ProfilePropertyRule.objects.filter(pk=rule_id, state=RuleState.DELETED).first()
    after = (lease.mark or {}).get("after")
    with transaction.atomic():
        last = None
        if rule is not None:
            last = forget_values(rule.pk, rule.key, after=UUID(after) if after else None, limit=FORGOTTEN)
        if last is None:
            rules.finish_deletion(rule_id)
            lease.finish()
            return False
        lease.hold(mark={"after": str(last)}, done=lease.done + FORGOTTEN, total=_everyone(lease))
    return True


def _everyone(lease: Lease) -> int:
    """How many there are, for the progress bar: counted once."""
    return lease.total if lease.total is not None else Profile.objects.count()


def refresh_everyone(lease: Lease) -> bool:
    """One step of asking again for every profile; whether there is more.

    When the rules changed after it began, other work asks everyone from the start: this one gives way.
    """
    if _is_overtaken(lease):
        lease.finish(state=WorkState.STOPPED)
        return False
    after = (lease.mark or {}).get("after")
    everyone = Profile.objects.filter(merged_into=None).order_by("guid").values_list("guid", flat=True)
    page = list((everyone.filter(guid__gt=after) if after else everyone)[:BATCH])
    if not page or lease.stop_requested:
        _end(lease, state=WorkState.STOPPED if page else WorkState.COMPLETE)
        return False
    process([], claim=_PageClaim(lease, page[-1], len(page)), refresh=page)
    return True


def _end(lease: Lease, *, state: WorkState) -> None:
    """Tell whoever changed the rules, in the transaction that ends it; not of a change made at the last moment."""
    text = f"{plural(lease.done, 'person', 'people')}; groups and exports follow what changed."
    with transaction.atomic():
        lease.finish(state=state)
        rules.let_changes_commit()
        if _is_overtaken(lease):
            return
        if state == WorkState.COMPLETE:
            news = News("ok", "Everyone’s values were asked for again", reverse("properties:list"), text)
            notices.keep(rules.REHYDRATE, news)
        else:
            notices.withdraw(rules.REHYDRATE)


def _is_overtaken(lease: Lease) -> bool:
    later = Work.objects.filter(kind=lease.kind, subject__startswith=rules.EVERYONE, pk__gt=lease.work_id)
    return later.filter(state__in=UNFINISHED).exists()


def retry_due() -> int:
    """Ask again for people whose Apps were down when they were last hydrated; how many."""
    due = hydration_retries.claim(limit=BATCH)
    if due:
        refresh(due)
    return len(due)
