"""Who is told of problems, and the problems they were told of.

`AlertRecipients` is written by `grouparoo/alerts/recipients.py` alone, `Incident` by `grouparoo/alerts/watching.py`.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from grouparoo.problems import ProblemKind


class AlertRecipients(models.Model):
    """Who is told, in one row: addresses of email, and a webhook whose signing secret is encrypted."""

    emails = models.JSONField(default=list)
    webhook_url = models.CharField(max_length=2000, blank=True)
    secrets = models.TextField(blank=True)
    base_url = models.CharField(max_length=300, blank=True)  # where people open the product, for links
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "alert_recipients"
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="alert_recipients_one_row")]

    def __str__(self) -> str:
        return "Alerts"


class Incident(models.Model):
    """One problem from its beginning to its end. `channels` are those who are told: {"email": …} or {"webhook": …}."""

    kind = models.CharField(max_length=30, choices=ProblemKind.choices)
    subject = models.CharField(max_length=60)  # such as "schedule:3"
    title = models.CharField(max_length=300)
    text = models.TextField(blank=True)
    url = models.CharField(max_length=200)
    channels = models.JSONField(default=list)
    opened_at = models.DateTimeField()
    recovered_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "incident"
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject"], condition=Q(recovered_at__isnull=True), name="incident_one_open"
            )
        ]

    def __str__(self) -> str:
        return self.title
