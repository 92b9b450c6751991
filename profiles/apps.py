from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy

from core.ui import search, slots
from core.ui.search import Finder
from core.ui.slots import Slot


class ProfilesConfig(AppConfig):
    name = "profiles"
    label = "profiles"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """What the page of an App shows of properties; finding both; which secrets change with the operator's keys."""
        from apps_connectors import apps_store  # noqa: PLC0415  models are not there before ready()
        from profiles import suppression_key  # noqa: PLC0415  the same
        from profiles.queries import find_people, find_rules  # noqa: PLC0415  the same

        apps_store.rotate_with(suppression_key.rotate_secrets)
        slots.register(Slot("app", gettext_lazy("Properties it fills"), "properties:of_app"))
        search.register(Finder("people", gettext_lazy("People"), "user", find_people))
        search.register(Finder("properties", gettext_lazy("Properties"), "list", find_rules, order=2))
