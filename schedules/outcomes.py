"""What a run did in a line, and what whoever started it is told when it has ended."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext, ngettext

from core.ui import notices
from core.ui.notices import News
from core.ui.wording import counted, number, people, plural
from schedules.models import Direction, Run, RunState

# options and counters that `schedules/plans.py` gives the run of a plan
_IS_DRY, _HAS_PLAN = "plan", "plan_held"
_PLANNED = ("plan_created", "plan_updated", "plan_removed")


def say_outcome(run: Run) -> str:
    """Such as "30 rows read, 28 new, 2 changed"."""
    counters = run.counters
    if run.direction == Direction.IMPORT:
        told = [(counters.get("created", 0), gettext("new")), (counters.get("changed", 0), gettext("changed"))]
        read = counters.get("read", 0)
        whole = counted(ngettext("%(count)s row read", "%(count)s rows read", read), read)
    else:
        told = [(counters.get("sent", 0), gettext("sent")), (counters.get("unchanged", 0), gettext("unchanged"))]
        if _HAS_PLAN in counters:
            told[:0] = [(sum(counters.get(kind, 0) for kind in _PLANNED), gettext("planned"))]
        whole = people(counters.get("selected", 0))
    rest = ", ".join(f"{number(count)} {word}" for count, word in told if count)
    return f"{whole}, {rest}" if rest else whole


def subject_of(run_id: int) -> str:
    """The name under which notices speak of a run."""
    return f"run:{run_id}"


def tell(run: Run) -> None:
    """Tell whoever started this run (with its schedule) how it ended, in the transaction that ends it.

    Who stopped it themselves knows.
    """
    if run.state != RunState.STOPPED or run.error:
        notices.tell(run.trigger, subject_of(run.pk), _say(run))


def _say(run: Run) -> News:
    page, plan = reverse("runs:show", args=[run.pk]), reverse("runs:plan", args=[run.pk])
    name = f"“{run.schedule}”"
    if run.state == RunState.FAILED:
        return News("bad", f"{name} failed", page, run.error)
    if _HAS_PLAN in run.counters and run.error:
        return News("wait", f"The guard stopped {name}: look at the plan, and decide", plan, run.error)
    if run.state == RunState.STOPPED:
        return News("wait", f"{name} stopped", page, run.error)
    if run.options.get(_IS_DRY):
        rows = sum(run.counters.get(kind, 0) for kind in _PLANNED)
        return News("ok", f"What {name} would send is worked out", plan, plural(rows, "row") if rows else "Nothing.")
    return News("ok", f"{name} is complete", page, f"{say_outcome(run)}.")
