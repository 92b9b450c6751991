"""What wakes what: each topic's task, and the sweeps that find whatever no wake-up announced.

The only place that knows all tasks by name. Beat entries expire before the next one is sent, so a broker that was down
for an hour does not bring an hour of sweeps.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from celery import Celery

from core.work import wake

# topic -> (task, queue)
TOPICS: dict[str, tuple[str, str]] = {
    "inbox": ("pipeline.process_inbox", "events"),
    "imports": ("schedules.import_slice", "imports"),
    "deleted": ("schedules.look_for_deleted", "imports"),
    "revert": ("schedules.revert", "imports"),
    "exports": ("schedules.export_slice", "exports"),
    "erase": ("schedules.erase", "default"),
    "outbound": ("schedules.outbound_slice", "outbound"),
    "replay": ("schedules.replay_slice", "outbound"),
    "groups": ("groups.recalculate", "groups"),
    "rehydrate": ("pipeline.refresh_everyone", "default"),
    "relink": ("pipeline.relink", "default"),
    "boundaries": ("groups.sweep_boundaries", "groups"),
    "time_zone": ("groups.follow_time_zone", "groups"),
    "password_resets": ("accounts.send_password_resets", "outbound"),
    "alerts": ("grouparoo.send_alerts", "outbound"),
}

# task -> (seconds, queue)
SWEEPS: dict[str, tuple[float, str]] = {
    "grouparoo.sweep": (2, "default"),
    "schedules.start_due": (1, "default"),
    "schedules.find_outbound": (1, "default"),
    "groups.sweep_boundaries": (15, "groups"),
    "groups.record_sizes": (60, "default"),
    "pipeline.retry_hydration": (10, "events"),
    "grouparoo.watch": (30, "default"),
    "grouparoo.keep_house": (3600, "default"),
}

_SEND_OPTIONS: dict[str, Any] = {"ignore_result": True, "retry": False}


def connect(app: Celery) -> None:
    """Called once when a process starts."""

    def send(topic: str) -> None:
        task, queue = TOPICS[topic]
        app.send_task(task, queue=queue, expires=60, **_SEND_OPTIONS)

    wake.connect(send)
    app.conf.beat_schedule = {
        task: {
            "task": task,
            "schedule": timedelta(seconds=seconds),
            "options": {"queue": queue, "expires": seconds, "ignore_result": True},
        }
        for task, (seconds, queue) in SWEEPS.items()
    }
