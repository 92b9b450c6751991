"""The Celery application. Tasks are `shared_task` in each app's `tasks.py`; what calls them is in `wiring.py`."""

from __future__ import annotations

import gc
import os
import sys
from typing import Any

from celery import Celery
from celery.signals import worker_init, worker_process_init
from django.urls import reverse
from kombu.transport.redis import Channel

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "grouparoo.settings")

app = Celery("grouparoo")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# A worker that loses its broker has nothing to put back: sweeps find the rows. (Else it reports wake-ups as lost
# messages and writes them to files.) Celery has no setting for it.
Channel.do_restore = False


@worker_init.connect
def read_addresses(**_: Any) -> None:
    """Whoever is told that a run has ended gets a link. Each process would read all addresses for its first one, at the
    end of that run (a second of processor time); here they are read once, before the processes part."""
    reverse("runs:list")


@worker_process_init.connect
def calm_the_collector(**_: Any) -> None:
    """A batch is tens of thousands of objects that no cycle holds: looking for cycles among them at the usual rate
    took a quarter of an import's processor time (217 to 158 µs a profile)."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


@worker_process_init.connect
def take_short_turns(**_: Any) -> None:
    """One thread prepares a batch while another writes the one before, and comes back from the database forty times.
    Each time it may wait for the other's turn to end: 5 ms as Python has it (200,000 people: 25.1 s; so: 22.5 s)."""
    sys.setswitchinterval(0.0005)
