from __future__ import annotations

from django.apps import AppConfig

from core.ui import causes


class EventsConfig(AppConfig):
    name = "events"
    label = "events"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Pages of lower apps may name events."""
        from events.queries import name_events  # noqa: PLC0415  models are not there before ready()

        causes.register("event", name_events)
