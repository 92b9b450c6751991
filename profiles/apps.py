from __future__ import annotations

from django.apps import AppConfig

from core.ui import slots
from core.ui.slots import Slot


class ProfilesConfig(AppConfig):
    name = "profiles"
    label = "profiles"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """What the page of an App shows of properties."""
        slots.register(Slot("app", "Properties it fills", "properties:of_app"))
