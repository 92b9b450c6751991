"""So that Django finds the models of the composition root."""

from __future__ import annotations

from grouparoo.alerts.models import AlertRecipients, Incident

__all__ = ["AlertRecipients", "Incident"]
