"""What was answered to a request that may be repeated. Written only by `core/rest/idempotency.py`."""

from __future__ import annotations

from django.db import models


class IdempotentAnswer(models.Model):
    """The answer to a request that came with an Idempotency-Key; `status` is null until the first one is answered."""

    caller = models.CharField(max_length=60)  # such as "api_key:3"
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64)  # SHA-256 of method, address and body
    status = models.PositiveSmallIntegerField(null=True)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        db_table = "idempotent_answer"
        constraints = [models.UniqueConstraint(fields=["caller", "key"], name="idempotent_answer_unique")]
