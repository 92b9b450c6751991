"""Schedules of both directions: made, changed and deleted, and when they are next due.

The only writer of `Schedule`, `ScheduleField` and `ScheduleGroup`. What a schedule names is checked here, against the
App itself where only the App can tell (`schedules/checking.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from core.accounts import audit, project
from core.accounts.actors import Actor
from core.lib.errors import InvalidInput, NotFound, Refused
from core.work import leases
from profiles.models import ProfilePropertyRule, RuleState
from schedules import checking, ledger, timing
from schedules.models import Direction, Mode, Run, RunState, Schedule, ScheduleField, ScheduleGroup


@dataclass(frozen=True, slots=True)
class ScheduleData:
    """What a person decides of a schedule.

    `fields` maps a column (import) or the destination's field (export) to a property key. `groups` maps a group id to
    the name it carries at the destination. An export's `options` name its `key_field`, one of `fields`. `guard_share`
    is how much of what the destination holds a run may remove or change unasked (None: the project's; 1: everything).
    """

    direction: str
    name: str
    app_id: int
    options: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[int, str] = field(default_factory=dict)
    every_minutes: int | None = None
    cron: str = ""
    after_changes: bool = False
    enabled: bool = True
    mode: str = Mode.SYNC.value
    everyone: bool = False
    guard_share: float | None = None


# what a change of means that everything has to be read, or compared, again
_CONTENT = ("app_id", "options", "fields", "groups", "mode", "everyone")
_PLAIN = (
    *("direction", "name", "app_id", "every_minutes", "cron", "after_changes", "enabled", "mode", "everyone"),
    "guard_share",
)
_LONGEST_NAME = 200
_GUARD = gettext_lazy("The guard's share lies between 0 and 1, such as 0.2 for 20 %; 1 never asks.")
_HOW_ONLY = frozenset({"may_create", "look_for_deleted", "lookback"})  # options that change nothing of what was read


def create_schedule(data: ScheduleData, *, actor: Actor) -> Schedule:
    """Make a schedule; raises `InvalidInput` with a sentence for each part that cannot be used.

    One that runs every so many minutes is due at once, one with a cron line at its next time.
    """
    data, rules = check(data)
    now = timezone.now()
    try:
        with transaction.atomic():
            schedule = Schedule.objects.create(
                **{name: getattr(data, name) for name in _PLAIN},
                options=dict(data.options),
                next_at=_first_time(data, now),
            )
            _write_parts(schedule, data, rules)
            audit.record("schedule.create", schedule, after=_for_audit(data), actor=actor)
    except IntegrityError as error:
        raise _explain(error) from None
    return schedule


def update_schedule(schedule_id: int, data: ScheduleData, *, actor: Actor) -> Schedule:
    """Put `data` in place of what is there. What changes the content of a schedule waits for the end of its run.

    An import whose source or columns changed reads everything again, an export compares everyone.
    """
    data, rules = check(data)
    try:
        with transaction.atomic():
            schedule = _lock(schedule_id)
            before = read_data(schedule)
            if before.direction != data.direction:
                raise InvalidInput(
                    gettext("An import cannot become an export: make a new schedule."), {"direction": gettext("Fixed.")}
                )
            if before.app_id != data.app_id:
                _refuse_while_followed(schedule)  # a subscription and the export that it follows have one App
            if _content(before) != _content(data):
                _refuse_while_running(schedule)
                schedule.mapping_version += 1
                schedule.high_water_mark = None
                schedule.halted_reason = ""
            if _rhythm(before) != _rhythm(data):
                schedule.next_at = _first_time(data, timezone.now())
            for name in _PLAIN:
                setattr(schedule, name, getattr(data, name))
            schedule.options = dict(data.options)
            schedule.save()
            if before.fields != data.fields or before.groups != data.groups or before.options != data.options:
                _write_parts(schedule, data, rules)
            audit.record("schedule.update", schedule, before=_for_audit(before), after=_for_audit(data), actor=actor)
    except IntegrityError as error:
        raise _explain(error) from None
    return schedule


def set_enabled(schedule_id: int, enabled: bool, *, actor: Actor) -> Schedule:
    """Switch a schedule off, so that nothing starts by itself, or on again. Its App is not asked."""
    with transaction.atomic():
        schedule = _lock(schedule_id)
        before = schedule.enabled
        if before != enabled:
            schedule.enabled = enabled
            schedule.next_at = _first_time(read_data(schedule), timezone.now())
            schedule.save(update_fields=["enabled", "next_at", "updated_at"])
            audit.record(
                "schedule.update", schedule, before={"enabled": before}, after={"enabled": enabled}, actor=actor
            )
    return schedule


def delete_schedule(schedule_id: int, *, actor: Actor) -> None:
    """Delete a schedule with its runs, their work and its ledger.

    The events and profiles that came of it stay, and so does what it sent. Raises `Refused` while a run is not
    finished, and while subscriptions to events follow it, with their names.
    """
    with transaction.atomic():
        schedule = _lock(schedule_id)
        _refuse_while_running(schedule)
        _refuse_while_followed(schedule)
        audit.record("schedule.delete", schedule, before=_for_audit(read_data(schedule)), actor=actor)
        work_ids = list(Run.objects.filter(schedule=schedule).values_list("work_id", flat=True))
        schedule.delete()
        leases.forget(work_ids)
        ledger.forget(schedule_id)


def read_data(schedule: Schedule) -> ScheduleData:
    """What a person decided of this schedule, to be changed with `dataclasses.replace`."""
    return ScheduleData(
        **{name: getattr(schedule, name) for name in _PLAIN},
        options=schedule.options,
        fields=dict(schedule.fields.order_by("id").values_list("field", "rule__key")),
        groups=dict(schedule.groups.order_by("id").values_list("group_id", "name")),
    )


def check(data: ScheduleData) -> tuple[ScheduleData, dict[str, ProfilePropertyRule]]:
    """The schedule as it would be stored, and the rules that its columns feed. Raises `InvalidInput`."""
    data = replace(data, name=data.name.strip(), cron=" ".join(data.cron.split()), options=dict(data.options))
    if data.direction not in Direction.values:
        raise InvalidInput(
            gettext("A schedule is an import or an export."), {"direction": gettext("Choose import or export.")}
        )
    if not data.name:
        raise InvalidInput(gettext("Give the schedule a name."), {"name": gettext("Give a name.")})
    if len(data.name) > _LONGEST_NAME:
        raise InvalidInput(
            gettext("The name is too long: give at most 200 characters."), {"name": gettext("At most 200 characters.")}
        )
    if data.guard_share is not None and not 0 <= data.guard_share <= 1:
        raise InvalidInput(_GUARD, {"guard_share": _GUARD})
    timing.check_rhythm(every_minutes=data.every_minutes, cron=data.cron, now=timezone.now())
    ready = ProfilePropertyRule.objects.filter(state=RuleState.READY, key__in=set(data.fields.values()))
    rules = {rule.key: rule for rule in ready}
    options = checking.check_content(
        direction=data.direction,
        app_id=data.app_id,
        options=data.options,
        fields=data.fields,
        rules=rules,
        groups=data.groups,
        everyone=data.everyone,
        mode=data.mode,
        has_rhythm=bool(data.every_minutes or data.cron),
    )
    return replace(data, options=options), rules


# ---------------------------------------------------------------- what the work on runs moves


def unfinished_runs() -> QuerySet[Run]:
    """The unfinished run of the schedule of an outer query."""
    return Run.objects.filter(schedule=OuterRef("pk"), state__in=[RunState.PENDING, RunState.RUNNING])


def find_due(now: datetime) -> list[Schedule]:
    """Schedules whose time has come and that may start: not running, not halted, their App not paused, and exports
    only while sending is not stopped.

    One whose time comes while it still runs is due as soon as that run has ended, once.
    """
    due = Schedule.objects.filter(enabled=True, next_at__lte=now, halted_reason="", app__paused_at__isnull=True)
    if project.current().sending_stopped:
        due = due.filter(direction=Direction.IMPORT)
    return list(due.filter(~Exists(unfinished_runs())).order_by("next_at", "id")[:100])


def take_due(schedule: Schedule, now: datetime) -> bool:
    """Move a due schedule to its next time, in the caller's transaction; False when another worker was faster."""
    later = timing.next_time(
        every_minutes=schedule.every_minutes,
        cron=schedule.cron,
        zone=project.current().time_zone,
        now=now,
        previous=schedule.next_at,
    )
    mine = Schedule.objects.filter(pk=schedule.pk, enabled=True, next_at=schedule.next_at)
    return bool(mine.update(next_at=later))


def follow_zone(zone: ZoneInfo) -> None:
    """The project's clock is another one: cron lines come due by it from now on. What is due already stays due."""
    now = timezone.now()
    waiting = list(
        Schedule.objects.exclude(cron="").filter(next_at__gt=now).select_for_update(no_key=True).order_by("id")
    )
    for schedule in waiting:
        schedule.next_at = timing.next_time(every_minutes=None, cron=schedule.cron, zone=zone, now=now)
    Schedule.objects.bulk_update(waiting, ["next_at"])


def move_high_water_mark(schedule_id: int, mark: Mapping[str, Any]) -> None:
    """How far reading has come, in the transaction that stores what was read."""
    Schedule.objects.filter(pk=schedule_id).update(high_water_mark=dict(mark))


def halt(schedule_id: int, reason: str) -> None:
    """Nothing starts by itself any more until a person has mended it."""
    Schedule.objects.filter(pk=schedule_id).update(halted_reason=reason)


def resume(schedule_id: int, *, actor: Actor) -> None:
    """A person has mended what halted the schedule; it is due at once if it has a rhythm."""
    with transaction.atomic():
        schedule = _lock(schedule_id)
        before = schedule.halted_reason
        schedule.halted_reason = ""
        if schedule.enabled and (schedule.every_minutes or schedule.cron):
            schedule.next_at = timezone.now()
        schedule.save(update_fields=["halted_reason", "next_at", "updated_at"])
        audit.record("schedule.resume", schedule, before={"halted_reason": before}, actor=actor)


# ---------------------------------------------------------------- inside


def _write_parts(schedule: Schedule, data: ScheduleData, rules: Mapping[str, ProfilePropertyRule]) -> None:
    schedule.fields.all().delete()
    schedule.groups.all().delete()
    key_field = data.options.get("key_field") if data.direction == Direction.EXPORT else None
    ScheduleField.objects.bulk_create(
        ScheduleField(schedule=schedule, rule=rules[key], field=name, is_key=name == key_field)
        for name, key in data.fields.items()
    )
    ScheduleGroup.objects.bulk_create(
        ScheduleGroup(schedule=schedule, group_id=group_id, name=name) for group_id, name in data.groups.items()
    )


def _first_time(data: ScheduleData, now: datetime) -> datetime | None:
    if not data.enabled:
        return None
    if data.every_minutes:
        return now
    return timing.next_time(every_minutes=None, cron=data.cron, zone=project.current().time_zone, now=now)


def _content(data: ScheduleData) -> dict[str, Any]:
    parts = {name: getattr(data, name) for name in _CONTENT}
    parts["options"] = {key: value for key, value in data.options.items() if key not in _HOW_ONLY}
    return parts


def _rhythm(data: ScheduleData) -> tuple[Any, ...]:
    return data.every_minutes, data.cron, data.enabled


def _lock(schedule_id: int) -> Schedule:
    schedule = Schedule.objects.select_for_update(no_key=True).filter(pk=schedule_id).first()
    if schedule is None:
        raise NotFound(gettext("There is no schedule %(schedule_id)s.") % {"schedule_id": schedule_id})
    return schedule


def _refuse_while_running(schedule: Schedule) -> None:
    run = Run.objects.filter(schedule=schedule, state__in=[RunState.PENDING, RunState.RUNNING]).first()
    if run is not None:
        raise Refused(
            gettext("Run %(run)s of “%(schedule)s” is not finished: wait for its end, or stop it first.")
            % {"run": run.pk, "schedule": schedule}
        )


def _refuse_while_followed(schedule: Schedule) -> None:
    if followers := schedule.followed_by_subscriptions.order_by("name"):
        names = ", ".join(f"“{each}”" for each in followers)
        raise Refused(
            gettext(
                "“%(schedule)s” is followed by the outbound events %(names)s, which send its groups "
                "and properties: let them follow another export or none, or delete them first."
            )
            % {"schedule": schedule, "names": names}
        )


def _for_audit(data: ScheduleData) -> dict[str, Any]:
    shown = asdict(data)
    shown["groups"] = {str(group_id): name for group_id, name in data.groups.items()}
    return shown


def _explain(error: IntegrityError) -> Exception:
    if "schedule_name_unique" in str(error):
        return InvalidInput(
            gettext("Another schedule has this name: choose a different one."), {"name": gettext("Already in use.")}
        )
    if "schedule_group_name_unique" in str(error):
        return InvalidInput(
            gettext("Two groups carry the same name at the destination: give each its own."), {"groups": "…"}
        )
    return error
