"""Whether a run would remove or change more at its destination than may go by itself. Reads only."""

from __future__ import annotations

from math import ceil

from core.accounts import project
from schedules.ledger import owing
from schedules.ledger.owing import Owed
from schedules.models import Schedule

NEVER_ASKS = 1.0


def share_of(schedule: Schedule) -> float:
    """The share of what the destination holds that one run may remove or change: the schedule's, else the project's."""
    return project.current().guard_share if schedule.guard_share is None else schedule.guard_share


def find_objection(schedule: Schedule, owed: Owed) -> str:
    """Why a person has to look before this is sent, in a sentence; empty when it may go."""
    share, touched = share_of(schedule), owed.removed + owed.changed
    if share >= NEVER_ASKS or touched < project.current().guard_minimum:
        return ""
    enough = ceil(touched / share) if share else None  # as many make the share too small, however many more there are
    if (held := owing.count_held(schedule.pk, at_most=enough)) * share >= touched or not held:
        return ""
    parts = [(owed.removed, "removed"), (owed.changed, "changed")]
    would = " and ".join(f"{_percent(count / held)} would be {word}" for count, word in parts if count)
    return (
        f"The guard stopped it: of the {held:,} people that “{schedule.app}” holds, {would}, and {_percent(share)} is"
        " allowed. Look at the plan, then send exactly that or discard it."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.3g}\u00a0%"
