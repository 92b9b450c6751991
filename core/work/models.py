"""One row for each piece of long work: its lease, its fence, its progress. Written only by `core/work/leases.py`."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy


class WorkState(models.TextChoices):
    """Where a piece of work stands."""

    PENDING = "pending", gettext_lazy("Waiting")
    RUNNING = "running", gettext_lazy("Running")
    COMPLETE = "complete", gettext_lazy("Complete")
    FAILED = "failed", gettext_lazy("Failed")
    STOPPED = "stopped", gettext_lazy("Stopped")


UNFINISHED = (WorkState.PENDING, WorkState.RUNNING)


class Work(models.Model):
    """A piece of long work that any worker may go on with, one slice at a time.

    `token` is the fence: every write of a slice names it, so that a worker whose lease ran out writes nothing more.
    """

    kind = models.CharField(max_length=40)  # such as "import", "export", "group"
    subject = models.CharField(max_length=60)  # what it is about, by id
    state = models.CharField(max_length=10, choices=WorkState.choices, default=WorkState.PENDING)
    token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    next_at = models.DateTimeField()  # not to be claimed before
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True)
    mark = models.JSONField(null=True)  # how far it has come, in the words of its kind
    stop_requested = models.BooleanField(default=False)
    failures = models.PositiveIntegerField(default=0)  # slices in a row that ended in an error
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "work"
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject"], condition=Q(state__in=["pending", "running"]), name="work_one_unfinished"
            )
        ]
        indexes = [
            models.Index(fields=["kind", "next_at"], condition=Q(state__in=["pending", "running"]), name="work_due")
        ]
