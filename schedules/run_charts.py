"""The charts of the page of a schedule: how long its last runs took, and what became of the people of an export."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.utils import timezone

from core.ui.columns import OTHERS, Column, Columns
from core.ui.wording import duration, plural, short_day
from schedules import plans
from schedules.models import Direction, Run, RunState, Schedule
from schedules.pages import UNFINISHED, usual_of

MOST_RUNS = 30
_ENDS = ((RunState.COMPLETE, "complete", 1), (RunState.FAILED, "failed", 6), (RunState.STOPPED, "stopped", OTHERS))
_OUTCOMES = (("sent", 1), ("unchanged", OTHERS), ("rejected", 6))
_LONGER = 1.5  # times the usual is worth a word


def of_schedule(schedule: Schedule, latest: Iterable[Run]) -> list[tuple[str, Columns]]:
    """The charts that there is something to say for, each with its title; `latest` are its runs, the latest first."""
    ended = [run for run in latest if run.state not in UNFINISHED and run.started_at and run.finished_at]
    runs = ended[:MOST_RUNS][::-1]
    if len(runs) < 2:
        return []
    found = [("How long its runs take", durations(runs))]
    sent = [run for run in runs if not plans.has_plan(run)]
    if schedule.direction == Direction.EXPORT and sent:
        found.append(("What became of the people", outcomes(sent)))
    return found


def durations(runs: Sequence[Run]) -> Columns:
    """How long each took, by how it ended, with the usual time."""
    took = [_seconds(run) for run in runs]
    usual = usual_of([_seconds(run) for run in runs if run.state == RunState.COMPLETE])
    ends = [each for each in _ENDS if any(run.state == each[0] for run in runs)]
    highest = max(took)
    return Columns(
        sentence=_say_durations(took[-1], usual),
        label=f"How long the last {len(runs)} runs took",
        head="Run",
        parts=[(word, look) for _, word, look in ends],
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
    columns = [_column(run, [int(run.counters.get(key, 0)) for key, _ in _OUTCOMES]) for run in runs]
    sent, unchanged, rejected = (int(sum(column.values[place] for column in columns)) for place in range(3))
    said = f"The last {plural(len(runs), 'run')} sent {plural(sent, 'person', 'people')}"
    return Columns(
        sentence=f"{said}, left {plural(unchanged, 'person', 'people')} as they were, and "
        f"{plural(rejected, 'was', 'were')} rejected.",
        label="What became of the people of each run",
        head="Run",
        parts=_OUTCOMES,
        columns=columns,
    )


def _say_durations(last: float, usual: float | None) -> str:
    if usual is None:
        return f"The last run took {duration(last)}."
    if last > usual * _LONGER:
        return f"The last run took {duration(last)}, longer than its usual {duration(usual)}."
    return f"It usually takes {duration(usual)}; the last run took {duration(last)}."


def _column(run: Run, values: Sequence[float]) -> Column:
    local = timezone.localtime(run.started_at)
    day, clock = short_day(local), f"{local:%H:%M}"
    is_today = local.date() == timezone.localdate()
    return Column(f"Run {run.pk}, {day}, {clock}", clock if is_today else day, values)


def _seconds(run: Run) -> float:
    if run.started_at is None or run.finished_at is None:
        return 0.0
    return (run.finished_at - run.started_at).total_seconds()
