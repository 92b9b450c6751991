"""What the pages and the API show of erasures. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext

from core.ui import causes
from core.ui.causes import Cause
from schedules.erasing.models import SETTLED, Erasure, ErasureDestination, Removal
from schedules.erasing.steps import STEPS

_LOOKS = {
    Removal.OWED: "wait",
    Removal.ASKED: "info",
    Removal.WAITING: "wait",
    Removal.RETRYING: "warn",
    Removal.CANNOT: "bad",
    Removal.REMOVED: "ok",
    Removal.BY_HAND: "ok",
}


@dataclass(frozen=True, slots=True)
class ShownStep:
    """One step: whether it is over, is being done, or comes later."""

    key: str
    label: str
    ended_at: datetime | None
    look: str
    word: str


@dataclass(frozen=True, slots=True)
class ShownDestination:
    """One destination with its answer. `is_open`: a person may say that it was removed by hand."""

    destination: ErasureDestination
    look: str
    settled_by: Cause | None

    @property
    def is_open(self) -> bool:
        """Whether it has not answered yet."""
        return self.destination.state not in SETTLED


@dataclass(frozen=True, slots=True)
class Shown:
    """An erasure as its page shows it."""

    erasure: Erasure
    asked_by: Cause
    steps: Sequence[ShownStep]
    destinations: Sequence[ShownDestination]
    counts: Sequence[tuple[str, int]]

    @property
    def is_finished(self) -> bool:
        """Whether this is a proof."""
        return self.erasure.finished_at is not None

    @property
    def problems(self) -> int:
        """How many destinations have something in the way."""
        return sum(bool(each.is_open and each.destination.problem) for each in self.destinations)


def list_erasures() -> QuerySet[Erasure]:
    """All of them, the latest first, each with the number of its destinations that have not answered."""
    waits = Count("destinations", filter=~Q(destinations__state__in=SETTLED))
    return Erasure.objects.annotate(open=waits).order_by("-pk")


def show(erasure: Erasure) -> Shown:
    """One erasure in words."""
    found = list(ErasureDestination.objects.filter(erasure=erasure).order_by("pk"))
    named = causes.name_all([erasure.asked_by, *(each.settled_by for each in found if each.settled_by)])
    return Shown(
        erasure,
        named[erasure.asked_by],
        _steps(erasure),
        [ShownDestination(each, _LOOKS[Removal(each.state)], named.get(each.settled_by)) for each in found],
        sorted(erasure.counts.items()),
    )


def _steps(erasure: Erasure) -> list[ShownStep]:
    shown, is_next = [], True
    for key, label in STEPS.items():
        ended = erasure.steps.get(key)
        if ended:
            look, word = "ok", gettext("Done")
        else:
            look, word = ("info", gettext("Being done")) if is_next else ("off", gettext("Comes later"))
        shown.append(ShownStep(key, str(label), datetime.fromisoformat(ended) if ended else None, look, word))
        is_next = is_next and bool(ended)
    return shown
