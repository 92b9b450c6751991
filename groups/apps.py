from __future__ import annotations

from django.apps import AppConfig


class GroupsConfig(AppConfig):
    name = "groups"
    label = "groups"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Groups have a say when a property changes its type."""
        from groups.groups_store import refuse_new_type  # noqa: PLC0415  models are there only now
        from profiles.rules import check_types_with  # noqa: PLC0415

        check_types_with(refuse_new_type)
