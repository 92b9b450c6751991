"""What the pages of schedules and runs show. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import BigIntegerField, Count, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce, Now
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy, ngettext

from core.accounts.models import User
from core.ui import causes, charts, search
from core.ui.causes import Cause
from core.ui.search import Hit
from core.ui.sorting import Sort
from core.ui.wording import NBSP, duration, number, pace, relative
from schedules import lateness, plans
from schedules.models import (
    Direction,
    ExportRecord,
    Mode,
    Run,
    RunState,
    Schedule,
    ScheduleGroup,
)
from schedules.outcomes import say_outcome
from schedules.progress import Progress, progress_of

UNFINISHED = (RunState.PENDING, RunState.RUNNING)
MOST_RUNNING, MOST_COMING = 10, 4  # on Home
MOST_DIGITS = 18  # of an id
_ONE = {1: gettext_lazy("every minute"), 60: gettext_lazy("every hour"), 1440: gettext_lazy("every day")}
_LOOKS = {
    RunState.PENDING: "wait",
    RunState.RUNNING: "info",
    RunState.COMPLETE: "ok",
    RunState.FAILED: "bad",
    RunState.STOPPED: "off",
}


@dataclass(frozen=True, slots=True)
class Part:
    """One term of a sum that adds up: its number, its word, a note, and its class in the bar."""

    count: int
    word: str
    note: str = ""
    look: str = ""


@dataclass(frozen=True, slots=True)
class ShownRun:
    """A run as lists and pages show it."""

    run: Run
    progress: Progress
    look: str
    word: str

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will change."""
        return self.run.state not in UNFINISHED

    @property
    def title(self) -> str:
        """ "84 % done", or what became of it."""
        if self.run.state == RunState.COMPLETE:
            return gettext("Done")
        share = self.progress.percent
        if self.is_finished:
            return (
                self.word
                if share is None
                else gettext("%(word)s at %(share)s") % {"word": self.word, "share": _percent(share)}
            )
        if self.run.state == RunState.PENDING:
            return gettext("About to start")
        return gettext("Running") if share is None else gettext("%(share)s done") % {"share": _percent(share)}

    @property
    def unit(self) -> str:
        """What is counted: rows come in, people go out."""
        return gettext("row,rows") if self.run.direction == Direction.IMPORT else gettext("person,people")

    @property
    def speed(self) -> str:
        """ "10.9 rows a second"."""
        many = gettext("rows") if self.run.direction == Direction.IMPORT else gettext("people")
        return "" if self.progress.rate is None else pace(self.progress.rate, many)

    @property
    def reach(self) -> str:
        """ "4,680 of 5,595 people"."""
        done, total = self.progress.done, self.progress.total
        if self.run.direction == Direction.IMPORT:
            text = gettext("%(done)s of %(total)s rows") if total else gettext("%(done)s rows so far")
        else:
            text = gettext("%(done)s of %(total)s people") if total else gettext("%(done)s people so far")
        return text % {"done": number(done), "total": number(total or 0)}

    @property
    def took(self) -> float | None:
        """Seconds it has been running, or ran."""
        started, ended = self.run.started_at, self.run.finished_at
        return ((ended or timezone.now()) - started).total_seconds() if started else None

    @property
    def outcome(self) -> str:
        """One line for the list: what it did."""
        return say_outcome(self.run)

    @property
    def rejected(self) -> int:
        """How many did not go through."""
        return int(self.run.counters.get("rejected", 0))


def show(run: Run) -> ShownRun:
    """A run (with its schedule and work) with its progress now."""
    state = RunState(run.state)
    return ShownRun(run, progress_of(run, now=timezone.now()), _LOOKS[state], str(state.label))


def runs(*, direction: str = "", state: str = "", schedule: int | None = None) -> QuerySet[Run]:
    """Runs that fit the filters, the newest first."""
    found = Run.objects.select_related("schedule", "schedule__app", "work").order_by("-id")
    if direction in Direction.values:
        found = found.filter(direction=direction)
    if state in RunState.values:
        found = found.filter(state=state)
    if schedule is not None:
        found = found.filter(schedule_id=schedule)
    return found


# What the list of runs is sorted by besides its usual order: in the database, which has thousands of them.
_LONG = Coalesce(Coalesce(F("finished_at"), Now()) - F("started_at"), timedelta(0))
_MANY = Coalesce(Cast(KeyTextTransform("rejected", "counters"), BigIntegerField()), 0)
RUN_SORTS: Mapping[str, Any] = {"newest": F("id"), "duration": _LONG, "rejected": _MANY}


def page_of_runs(found: QuerySet[Run], sort: Sort, *, before: int | None, limit: int) -> list[Run]:
    """The runs in an order, those behind the run `before`, which was the last of the page above."""
    sign, beyond = ("-", "lt") if sort.is_down else ("", "gt")
    value = RUN_SORTS[sort.key]
    if sort.key == "newest":
        rows = found if before is None else found.filter(**{f"id__{beyond}": before})
        return list(rows.order_by(f"{sign}id")[:limit])
    rows = found.annotate(sorted_by=value)
    last = Run.objects.filter(pk=before).values_list(value, flat=True).first() if before is not None else None
    if last is not None:
        rows = rows.filter(Q(**{f"sorted_by__{beyond}": last}) | Q(sorted_by=last, **{f"id__{beyond}": before}))
    return list(rows.order_by(f"{sign}sorted_by", f"{sign}id")[:limit])


def unfinished() -> list[ShownRun]:
    """The runs that go on now."""
    return [show(run) for run in runs().filter(state__in=UNFINISHED)[:MOST_RUNNING]]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the schedules stand: what runs, what failed and was not mended since, what halted, what comes next."""

    running: Sequence[ShownRun]
    failed: Sequence[Run]
    halted: Sequence[Schedule]
    coming: Sequence[Schedule]
    has_export: bool
    late: Sequence[tuple[Schedule, datetime]]


def standing() -> Standing:
    """Where all schedules stand, with two statements: each is judged by its newest run."""
    newest = Run.objects.filter(schedule=OuterRef("pk")).order_by("-created_at").values("pk")[:1]
    found = Schedule.objects.select_related("app").annotate(newest_run=Subquery(newest))
    schedules = list(found.order_by("name"))
    latest = {run.schedule_id: run for run in runs().filter(pk__in=[each.newest_run for each in schedules])}
    busy = {pk for pk, run in latest.items() if run.state in UNFINISHED}
    halted = [each for each in schedules if each.halted_reason]
    waiting = [each for each in schedules if each.enabled and each.next_at and not each.halted_reason]
    failed = [
        latest[each.pk]
        for each in schedules
        if each.enabled and not each.halted_reason and each.pk in latest and latest[each.pk].state == RunState.FAILED
    ]
    return Standing(
        running=[show(latest[pk]) for pk in sorted(busy, key=lambda pk: -latest[pk].pk)][:MOST_RUNNING],
        failed=failed,
        halted=halted,
        coming=_soonest([each for each in waiting if each.pk not in busy])[:MOST_COMING],
        late=lateness.find_late(schedules, latest, now=timezone.now()),
        has_export=any(each.direction == Direction.EXPORT and each.enabled for each in schedules),
    )


def _soonest(schedules: Iterable[Schedule]) -> list[Schedule]:
    due = [(each.next_at, each.pk, each) for each in schedules if each.next_at]
    return [each for _, _, each in sorted(due)]


def add_up(shown: ShownRun) -> list[Part]:
    """The whole and the parts that make it: the counters of a run, in figures that add up."""
    counters: Mapping[str, int] = shown.run.counters
    if shown.run.direction == Direction.IMPORT:
        return _import_sum(counters, shown)
    created, updated, removed = (counters.get(key, 0) for key in ("created", "updated", "removed"))
    selected, sent = counters.get("selected", 0), counters.get("sent", 0)
    unchanged, rejected = counters.get("unchanged", 0), counters.get("rejected", 0)
    owed = gettext("would be sent") if plans.has_plan(shown.run) else gettext("still owed")
    return [
        Part(selected, ngettext("person selected", "people selected", selected)),
        Part(
            sent,
            gettext("sent"),
            _listed((created, gettext("created")), (updated, gettext("updated")), (removed, gettext("removed"))),
        ),
        Part(unchanged, gettext("unchanged"), gettext("the destination has it already") if unchanged else "", "p2"),
        Part(rejected, gettext("rejected"), gettext("see below") if rejected else "", "p3"),
        Part(max(0, selected - sent - unchanged - rejected), owed, "", "p4"),
    ]


def _import_sum(counters: Mapping[str, int], shown: ShownRun) -> list[Part]:
    read, unchanged, rejected = (counters.get(key, 0) for key in ("read", "unchanged", "rejected"))
    skipped = counters.get("skipped", 0)
    people = _listed(
        (counters.get("created", 0), gettext("people new")), (counters.get("changed", 0), gettext("changed"))
    )
    return [
        Part(read, ngettext("row read", "rows read", read)),
        Part(max(0, read - unchanged - rejected - skipped), gettext("became events"), people),
        Part(unchanged, gettext("unchanged"), gettext("taken before, as they are") if unchanged else "", "p2"),
        Part(rejected, gettext("rejected"), gettext("see below") if rejected else "", "p3"),
        *([Part(skipped, gettext("skipped"), gettext("people who were erased on request"), "p4")] if skipped else []),
    ]


def part_bar(shown: ShownRun, parts: Sequence[Part]) -> str:
    """The parts side by side, as far as the run has come."""
    whole = max(parts[0].count, shown.progress.total or 0, 1)
    label = ", ".join(f"{number(part.count)} {part.word}" for part in parts[1:])
    return charts.bar([(100 * part.count / whole, part.look) for part in parts[1:]], label=label, tall=True)


def describe_trigger(run: Run) -> str:
    """What started a run: "by its schedule", "by Mia Okafor"."""
    plain = {
        "schedule": gettext("by its schedule"),
        "change": gettext("because people changed"),
        "upload": gettext("by an upload"),
        "erasure": gettext("to erase a person"),
    }
    if run.trigger in plain:
        return plain[run.trigger]
    return gettext("by %(cause)s") % {"cause": causes.name_all([run.trigger])[run.trigger].label}


def rhythm(schedule: Schedule) -> str:
    """How often: "every 10 min", "at 0 6 * * *", "by hand"."""
    if schedule.every_minutes:
        often = _ONE.get(schedule.every_minutes) or gettext("every %(time)s") % {
            "time": duration(60 * schedule.every_minutes)
        }
    elif schedule.cron:
        often = _say_cron(schedule.cron)
    else:
        often = ""
    if schedule.after_changes:
        often = (
            gettext("%(often)s and right after a change") % {"often": often}
            if often
            else gettext("right after a change")
        )
    return str(often) or gettext("by hand")


def describe_schedule(schedule: Schedule, groups: Sequence[str]) -> str:
    """What a schedule does, in one line."""
    options: Mapping[str, Any] = schedule.options
    if schedule.direction == Direction.IMPORT:
        if options.get("table"):
            return gettext("Reads the table %(table)s") % {"table": options["table"]}
        return gettext("Reads the rows of a query") if options.get("query") else gettext("Reads a file")
    whom = gettext("nobody yet")
    if schedule.everyone or groups:
        whom = gettext("everyone") if schedule.everyone else f" {gettext('and')} ".join(groups)
    target = options.get("table") or options.get("path") or options.get("folder") or ""
    said = gettext("Sends %(whom)s to %(target)s") if target else gettext("Sends %(whom)s")
    said %= {"whom": whom, "target": target}
    if schedule.mode == Mode.ADDITIVE:
        return gettext("%(sends)s, never removing") % {"sends": said}
    return gettext("%(sends)s, updating only") % {"sends": said} if schedule.mode == Mode.ENRICH else said


ScheduleRow = tuple[Schedule, str, str, ShownRun | None]
SCHEDULE_SORTS: Mapping[str, Callable[[ScheduleRow], Any]] = {
    "name": lambda row: row[0].name.lower(),
    "next": lambda row: row[0].next_at if row[0].enabled and not row[0].halted_reason else None,
    "last": lambda row: row[3].run.created_at if row[3] else None,
}


def schedule_rows(schedules: Iterable[Schedule]) -> list[ScheduleRow]:
    """Each with what it does, how often, and its last run."""
    found = list(schedules)
    names, last = group_names(found), last_runs(found)
    return [(each, describe_schedule(each, names.get(each.pk, [])), rhythm(each), last.get(each.pk)) for each in found]


def group_names(schedules: Iterable[Schedule]) -> dict[int, list[str]]:
    """The names of the groups each export sends."""
    names: dict[int, list[str]] = {}
    links = ScheduleGroup.objects.filter(schedule__in=[each.pk for each in schedules])
    for schedule_id, name in links.order_by("id").values_list("schedule_id", "group__name"):
        names.setdefault(schedule_id, []).append(name)
    return names


def last_runs(schedules: Iterable[Schedule]) -> dict[int, ShownRun]:
    """The newest run of each schedule."""
    ids = [schedule.pk for schedule in schedules]
    newest = runs().filter(schedule_id__in=ids).order_by("schedule_id", "-created_at").distinct("schedule_id")
    return {run.schedule_id: show(run) for run in newest}


def next_schedule() -> Schedule | None:
    """What starts next by itself."""
    due = Schedule.objects.filter(enabled=True, next_at__isnull=False, halted_reason="")
    return due.order_by("next_at").first()


def exports_of_profile(profile_id: UUID) -> list[tuple[ExportRecord, Schedule]]:
    """Where a profile was sent and how it stands there."""
    records = list(ExportRecord.objects.filter(profile_id=profile_id).order_by("schedule_id"))
    schedules = Schedule.objects.select_related("app").in_bulk([record.schedule_id for record in records])
    return [(record, schedules[record.schedule_id]) for record in records if record.schedule_id in schedules]


def exports_of_group(group_id: int) -> list[ScheduleGroup]:
    """The exports that send a group, and under what name."""
    return list(ScheduleGroup.objects.filter(group_id=group_id).select_related("schedule", "schedule__app"))


def runs_since(at: datetime) -> list[dict[str, Any]]:
    """Counters of the runs since then, by direction and App, added up in the database."""
    sums = {
        key: Sum(Cast(KeyTextTransform(key, "counters"), BigIntegerField()), default=0)
        for key in ("read", "events", "sent", "rejected", "owed")
    }
    found = Run.objects.filter(Q(created_at__gte=at) | Q(finished_at__gte=at, created_at__gte=at - timedelta(days=1)))
    return [
        dict(row)
        for row in found.values("direction", "schedule__app__name").annotate(runs=Count("id"), **sums).order_by("-runs")
    ]


def name_runs(ids: list[str]) -> Mapping[str, Cause]:
    """The causes "run:12" in words."""
    found = Run.objects.filter(pk__in=ids).values_list("pk", "schedule__name")
    return {
        str(pk): Cause(gettext("%(name)s, run %(pk)s") % {"name": name, "pk": pk}, f"/runs/{pk}/") for pk, name in found
    }


def name_people(ids: list[str]) -> Mapping[str, Cause]:
    """The causes "person:3" in words."""
    return {str(user.pk): Cause(str(user)) for user in User.objects.filter(pk__in=ids)}


def find_schedules(text: str, limit: int) -> list[Hit]:
    """For the search box: schedules by words of their names."""
    found = search.named(Schedule.objects.select_related("app"), text, "name")[:limit]
    return [
        Hit(each.name, reverse("schedules:show", args=[each.pk]), f"{each.get_direction_display()}, {each.app}")
        for each in found
    ]


def find_runs(text: str, limit: int) -> list[Hit]:
    """For the search box: a run by its number, also written as “run 12” or “#12”."""
    number_ = text.lower().removeprefix("run").lstrip(" #")
    if not number_.isdecimal() or len(number_) > MOST_DIGITS:
        return []
    return [
        Hit(
            gettext("%(schedule)s, run %(run)s") % {"schedule": run.schedule, "run": run.pk},
            reverse("runs:show", args=[run.pk]),
            run.get_state_display(),
        )
        for run in Run.objects.filter(pk=number_).select_related("schedule")[:limit]
    ]


def usual_seconds(run: Run) -> float | None:
    """How long the last complete runs of the same schedule took, in the middle; None below three of them."""
    times = (
        Run.objects.filter(schedule_id=run.schedule_id, state=RunState.COMPLETE, id__lt=run.pk)
        .order_by("-id")
        .values_list("started_at", "finished_at")[:9]
    )
    return usual_of([(end - start).total_seconds() for start, end in times if start and end])


def usual_of(seconds: Sequence[float]) -> float | None:
    """The one in the middle; None below three."""
    return sorted(seconds)[len(seconds) // 2] if len(seconds) >= 3 else None


def explain_halt(schedule: Schedule) -> str:
    """When it would have run next, for a notice."""
    if not schedule.next_at:
        return ""
    return gettext("Nothing is sent or read until then; it was due %(when)s.") % {"when": relative(schedule.next_at)}


def _percent(share: int) -> str:
    return f"{share}{NBSP}%"


def _listed(*counted: tuple[int, str]) -> str:
    return ", ".join(f"{number(count)} {word}" for count, word in counted if count)


def _say_cron(cron: str) -> str:
    """Daily times in words, anything else as it is written."""
    minute, hour, *rest = cron.split()
    if rest == ["*", "*", "*"] and minute.isdecimal() and hour.isdecimal():
        return gettext("every day at %(hour)s:%(minute)s") % {"hour": f"{int(hour):02}", "minute": f"{int(minute):02}"}
    return gettext("at the times of %(cron)s") % {"cron": cron}
