"""Erasures: when, by whom, what was deleted, what each destination answered. Nothing in them says who the person was.

`Erasure` is written by `schedules/erasing/erasures.py`, `ErasureDestination` by `schedules/erasing/destinations.py`.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy

from core.work.models import Work


class Erasure(models.Model):
    """One person erased on request: while it lasts the state of the work, afterwards the proof.

    `steps` says by step when it ended; `counts` how many rows of what were deleted.
    """

    work = models.OneToOneField(Work, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(auto_now_add=True)
    asked_by = models.CharField(max_length=60)  # "person:3", "api_key:2"
    steps = models.JSONField(default=dict)
    counts = models.JSONField(default=dict)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "erasure"

    def __str__(self) -> str:
        return f"erasure {self.pk}"


class Removal(models.TextChoices):
    """Where the removal at one destination stands."""

    OWED = "owed", gettext_lazy("Owed")
    ASKED = "asked", gettext_lazy("Being removed")
    WAITING = "waiting", gettext_lazy("Waits")
    RETRYING = "retrying", gettext_lazy("To be tried again")
    CANNOT = "cannot", gettext_lazy("Needs you")
    REMOVED = "removed", gettext_lazy("Removed")
    BY_HAND = "by_hand", gettext_lazy("Done by hand")


SETTLED = (Removal.REMOVED, Removal.BY_HAND)


class ErasureDestination(models.Model):
    """An export that held something of the person. `name` stays when the export is deleted.

    `problem` says why it is not removed yet, in the destination's words; it is emptied once it is settled. `reason` is
    what a person wrote who removed it by hand.
    """

    erasure = models.ForeignKey(Erasure, on_delete=models.CASCADE, related_name="destinations")
    schedule_id = models.BigIntegerField()
    name = models.CharField(max_length=420)
    state = models.CharField(max_length=8, choices=Removal.choices, default=Removal.OWED)
    run_id = models.BigIntegerField(null=True)  # the run that removes, while it was not looked at
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(null=True)
    problem = models.TextField(blank=True)
    answered_at = models.DateTimeField(null=True)
    settled_by = models.CharField(max_length=60, blank=True)
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        db_table = "erasure_destination"
        constraints = [models.UniqueConstraint(fields=["erasure", "schedule_id"], name="erasure_destination_unique")]

    def __str__(self) -> str:
        return self.name
