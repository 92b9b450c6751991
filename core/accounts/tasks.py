"""Celery's doors to accounts."""

from __future__ import annotations

from celery import shared_task

from core.accounts import resets
from core.work.wake import wake


@shared_task(name="accounts.send_password_resets")
def send_password_resets() -> None:
    """Send one link, and come back while there are more."""
    if resets.send_some():
        wake("password_resets")
