"""The sweeps that belong to no single app: whatever is due wakes its workers; partitions, logs and keys are kept."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from core.accounts import project, resets, sessions
from core.accounts.actors import SYSTEM
from core.ui import notices
from core.work import leases, partitions
from core.work.wake import wake
from events import store, tallies
from grouparoo.alerts import sending, watching
from groups import groups_store
from pipeline import inbox
from profiles import hydration_traces
from schedules import cursor
from schedules.outbound import deliveries

WORK = {
    "import": "imports",
    "deleted": "deleted",
    "revert": "revert",
    "export": "exports",
    "erase": "erase",
    "outbound": "outbound",
    "replay": "replay",
    "group": "groups",
    "rehydrate": "rehydrate",
    "relink": "relink",
    project.ZONE_WORK: "time_zone",
    resets.WORK: "password_resets",
    watching.KIND: "alerts",
}  # kind -> topic
KEY_RETENTION = timedelta(days=7)
NOTICE_RETENTION = timedelta(days=30)


@shared_task(name="grouparoo.sweep")
def sweep() -> None:
    """Wake a worker for everything that is due and that nobody works on."""
    if inbox.is_waiting():
        wake("inbox")
    for kind, topic in WORK.items():
        if leases.is_due(kind):
            wake(topic)


@shared_task(name="grouparoo.watch")
def watch() -> None:
    """Notice what newly needs a person, and what does not any more."""
    watching.watch()


@shared_task(name="grouparoo.send_alerts")
def send_alerts() -> None:
    """Tell people and programs of it for a slice."""
    if sending.work_slice():
        wake("alerts")


@shared_task(name="grouparoo.keep_house")
def keep_house() -> None:
    """Make the partitions of the coming weeks, drop those whose time is over, forget old rows, tally events."""
    now = timezone.now()
    partitions.ensure(now)
    settings = project.current()
    if partitions.drop_before("event", now - timedelta(days=settings.event_retention_days)):
        groups_store.recalculate_groups_of_all_time(actor=SYSTEM)
    unread = cursor.least_mark()
    for log in ("profile_change", "group_membership_change"):
        partitions.drop_before(log, now - timedelta(days=settings.log_retention_days), read_until=unread)
    partitions.drop_before("sent_log", now - timedelta(days=settings.log_retention_days))
    hydration_traces.forget(older_than=timedelta(days=settings.log_retention_days))
    deliveries.forget(older_than=timedelta(days=settings.delivery_retention_days))
    store.forget_keys(older_than=KEY_RETENTION)
    sessions.forget_expired()
    tallies.add_up(now)
    notices.forget(older_than=NOTICE_RETENTION)
    watching.forget(older_than=timedelta(days=settings.log_retention_days))
