from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy

from core.ui import slots
from core.ui.slots import Slot


class PipelineConfig(AppConfig):
    name = "pipeline"
    label = "pipeline"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """A group's page answers why someone is in it."""
        slots.register(Slot("group", gettext_lazy("Why is someone in it, or not?"), "profiles:why", order=1))
