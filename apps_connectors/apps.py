from __future__ import annotations

from django.apps import AppConfig


class AppsConnectorsConfig(AppConfig):
    name = "apps_connectors"
    label = "apps_connectors"
    default_auto_field = "django.db.models.BigAutoField"
