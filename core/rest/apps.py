from __future__ import annotations

from django.apps import AppConfig


class RestConfig(AppConfig):
    name = "core.rest"
    label = "rest"
    default_auto_field = "django.db.models.BigAutoField"
