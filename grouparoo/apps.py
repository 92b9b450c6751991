"""The composition root's own app: when a process starts, wake-ups learn which tasks they call."""

from __future__ import annotations

from django.apps import AppConfig

from grouparoo import (
    checks,  # noqa: F401  (importing registers them)
    wiring,
)
from grouparoo.celery import app
from plugins import registry


class GrouparooConfig(AppConfig):
    """Connects topics to tasks."""

    name = "grouparoo"
    label = "grouparoo"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Called once by Django when everything is loaded."""
        from apps_connectors.apps_store import rotate_with  # noqa: PLC0415  models are not there before ready()
        from grouparoo import setup  # noqa: PLC0415
        from grouparoo.alerts.recipients import rotate_secrets  # noqa: PLC0415

        registry.load()  # a broken built-in plugin fails the start, not a worker at night
        wiring.connect(app)
        setup.connect()
        rotate_with(rotate_secrets)
