from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy

from core.ui import search
from core.ui.search import Finder


class AppsConnectorsConfig(AppConfig):
    name = "apps_connectors"
    label = "apps_connectors"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Finding Apps."""
        from apps_connectors.pages import find_apps  # noqa: PLC0415  models are there only now

        search.register(Finder("apps", gettext_lazy("Apps"), "plug", find_apps, order=3))
