"""Turns what is wrong now into incidents that begin and end. The only writer of `Incident`.

An incident and the work of telling of it begin in one transaction, and so do its end and the work of telling of that:
a sweep that is killed has done all or nothing, and of two at the same time one goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.db import connection, transaction
from django.utils import timezone

from core.work import leases
from core.work.models import Work
from core.work.wake import wake
from grouparoo.alerts import recipients
from grouparoo.alerts.models import Incident
from grouparoo.problems import Problem, read_problems

KIND = "alert"  # of the work that tells one recipient; its subject is incident:phase:place among the channels
OPENED, RECOVERED = "opened", "recovered"
_LOCK = 0x616C6572  # an advisory lock: one sweep at a time


def watch() -> None:
    """Compare the problems there are with the incidents that are open."""
    problems = read_problems()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("select pg_try_advisory_xact_lock(%s)", [_LOCK])
            if not cursor.fetchone()[0]:
                return
        open_ones = {(each.kind, each.subject): each for each in Incident.objects.filter(recovered_at=None)}
        current = {(each.kind.value, each.subject): each for each in problems}
        _open([problem for key, problem in current.items() if key not in open_ones])
        still_wrong = {subject for _, subject in current}
        _close([incident for key, incident in open_ones.items() if key not in current], still_wrong)


def subject_of(incident: Incident, phase: str, place: int) -> str:
    """The subject of the work that tells one recipient of one phase."""
    return f"{incident.pk}:{phase}:{place}"


def forget(*, older_than: timedelta) -> None:
    """Incidents that ended so long ago, and the work of telling of them."""
    old = list(Incident.objects.filter(recovered_at__lt=timezone.now() - older_than))
    subjects = [subject for each in old for phase in (OPENED, RECOVERED) for subject in _subjects(each, phase)]
    with transaction.atomic():
        leases.forget(Work.objects.filter(kind=KIND, subject__in=subjects).values_list("pk", flat=True))
        Incident.objects.filter(pk__in=[each.pk for each in old]).delete()


def _open(problems: Iterable[Problem]) -> None:
    channels, now = recipients.read().channels, timezone.now()
    begun = Incident.objects.bulk_create(
        Incident(
            kind=problem.kind,
            subject=problem.subject,
            title=problem.title[:300],
            text=problem.text,
            url=problem.url,
            channels=channels,
            opened_at=now,
        )
        for problem in problems
    )
    _tell(begun, OPENED)


def _close(incidents: list[Incident], still_wrong: set[str]) -> None:
    """What is wrong with it in another way now is no recovery, and the new incident says so."""
    Incident.objects.filter(pk__in=[each.pk for each in incidents]).update(recovered_at=timezone.now())
    _tell([each for each in incidents if each.subject not in still_wrong], RECOVERED)


def _tell(incidents: Iterable[Incident], phase: str) -> None:
    subjects = [subject for incident in incidents for subject in _subjects(incident, phase)]
    for subject in subjects:
        leases.enqueue(kind=KIND, subject=subject)
    if subjects:
        wake("alerts")


def _subjects(incident: Incident, phase: str) -> list[str]:
    return [subject_of(incident, phase, place) for place in range(len(incident.channels))]
