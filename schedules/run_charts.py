"""The charts of the page of a schedule: how long its last runs took, and what became of the people of an export."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy, ngettext

from core.ui.columns import OTHERS, Column, Columns
from core.ui.wording import counted, duration, people, short_day
from schedules import plans
from schedules.models import Direction, Run, RunState, Schedule
from schedules.pages import UNFINISHED, usual_of

MOST_RUNS = 30
_ENDS = (
    (RunState.COMPLETE, gettext_lazy("complete"), 1),
    (RunState.FAILED, gettext_lazy("failed"), 6),
    (RunState.STOPPED, gettext_lazy("stopped"), OTHERS),
)
_OUTCOMES = (
    ("sent", gettext_lazy("sent"), 1),
    ("unchanged", gettext_lazy("unchanged"), OTHERS),
    ("rejected", gettext_lazy("rejected"), 6),
)
_LONGER = 1.5  # times the usual is worth a word


def of_schedule(schedule: Schedule, latest: Iterable[Run]) -> list[tuple[str, Columns]]:
    """The charts that there is something to say for, each with its title; `latest` are its runs, the latest first."""
    ended = [run for run in latest if run.state not in UNFINISHED and run.started_at and run.finished_at]
    runs = ended[:MOST_RUNS][::-1]
    if len(runs) < 2:
        return []
    found = [(gettext("How long its runs take"), durations(runs))]
    sent = [run for run in runs if not plans.has_plan(run)]
    if schedule.direction == Direction.EXPORT and sent:
        found.append((gettext("What became of the people"), outcomes(sent)))
    return found


def durations(runs: Sequence[Run]) -> Columns:
    """How long each took, by how it ended, with the usual time."""
    took = [_seconds(run) for run in runs]
    usual = usual_of([_seconds(run) for run in runs if run.state == RunState.COMPLETE])
    ends = [each for each in _ENDS if any(run.state == each[0] for run in runs)]
    highest = max(took)
    return Columns(
        sentence=_say_durations(took[-1], usual),
        label=gettext("How long the last %(count)s runs took") % {"count": len(runs)},
        head=gettext("Run"),
        parts=[(str(word), look) for _, word, look in ends],
        columns=[
            _column(run, [seconds if run.state == state else 0 for state, _, _ in ends])
            for run, seconds in zip(runs, took, strict=True)
        ],
        say=lambda seconds: duration(seconds) if seconds else "0",
        usual=usual,
        unit=3600 if highest > 3600 else 60 if highest > 60 else 1,
    )


def outcomes(runs: Sequence[Run]) -> Columns:
    """How many people each sent, left as they were, and had rejected."""
    columns = [_column(run, [int(run.counters.get(key, 0)) for key, _, _ in _OUTCOMES]) for run in runs]
    sent, unchanged, rejected = (int(sum(column.values[place] for column in columns)) for place in range(3))
    text = ngettext(
        "The last %(count)s run sent %(sent)s, left %(unchanged)s as they were, and %(rejected)s rejected.",
        "The last %(count)s runs sent %(sent)s, left %(unchanged)s as they were, and %(rejected)s rejected.",
        len(runs),
    )
    were = counted(ngettext("%(count)s was", "%(count)s were", rejected), rejected)
    return Columns(
        sentence=counted(text, len(runs), sent=people(sent), unchanged=people(unchanged), rejected=were),
        label=gettext("What became of the people of each run"),
        head=gettext("Run"),
        parts=[(str(word), look) for _, word, look in _OUTCOMES],
        columns=columns,
    )


def _say_durations(last: float, usual: float | None) -> str:
    if usual is None:
        return gettext("The last run took %(last)s.") % {"last": duration(last)}
    if last > usual * _LONGER:
        return gettext("The last run took %(last)s, longer than its usual %(usual)s.") % {
            "last": duration(last),
            "usual": duration(usual),
        }
    return gettext("It usually takes %(usual)s; the last run took %(last)s.") % {
        "usual": duration(usual),
        "last": duration(last),
    }


def _column(run: Run, values: Sequence[float]) -> Column:
    local = timezone.localtime(run.started_at)
    day, clock = short_day(local), f"{local:%H:%M}"
    is_today = local.date() == timezone.localdate()
    return Column(
        gettext("Run %(run)s, %(day)s, %(clock)s") % {"run": run.pk, "day": day, "clock": clock},
        clock if is_today else day,
        values,
    )


def _seconds(run: Run) -> float:
    if run.started_at is None or run.finished_at is None:
        return 0.0
    return (run.finished_at - run.started_at).total_seconds()
