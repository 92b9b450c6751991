"""What a destination answered for one batch of owed rows, and what that means for the run's counters and errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from plugins.contracts import Outcome, OutcomeKind
from schedules import runs
from schedules.ledger.rows import OwedRow
from schedules.runs import FoundError

_KINDS = ("created", "updated", "removed")


@dataclass(slots=True)
class Answers:
    """What became of one batch."""

    rows: Sequence[OwedRow]
    outcomes: Sequence[Outcome]
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for row, outcome in zip(self.rows, self.outcomes, strict=True):
            if outcome.kind is OutcomeKind.ACCEPTED:
                self.counts["removed" if row.owed is None else "updated" if row.held else "created"] += 1
            elif outcome.kind is OutcomeKind.REJECT:
                self.counts["rejected"] += 1
        self.counts["sent"] = sum(self.counts[kind] for kind in _KINDS)
        self.counts["owed"] = -self.counts["sent"] - self.counts["rejected"]

    @property
    def done(self) -> int:
        """How many rows are owed no more."""
        return -self.counts["owed"]

    @property
    def halt(self) -> str:
        """Why nothing more may be sent until a person has mended it; empty when more may."""
        return next((outcome.reason for outcome in self.outcomes if outcome.kind is OutcomeKind.HALT), "")

    @property
    def down(self) -> Outcome | None:
        """The answer of a destination that took nothing at all, which is hardly the rows' fault."""
        if len(self.rows) > 1 and all(outcome.kind is OutcomeKind.RETRY for outcome in self.outcomes):
            return max(self.outcomes, key=lambda outcome: outcome.after or 0.0)
        return None

    def errors(self) -> list[FoundError]:
        """For the run's list of errors."""
        return runs.group_errors(
            (outcome.reason or outcome.kind.value, {"profile": row.profile, "key": _key_of(row)})
            for row, outcome in zip(self.rows, self.outcomes, strict=True)
            if outcome.kind is not OutcomeKind.ACCEPTED
        )


def _key_of(row: OwedRow) -> str:
    held = row.owed or row.held
    return held.key if held else ""
