from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy


class GroupsConfig(AppConfig):
    name = "groups"
    label = "groups"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Groups have a say when a property changes its type, and events their kept days; logs name groups."""
        from core.accounts.project import check_with  # noqa: PLC0415  models are there only now
        from core.ui import causes, search, slots  # noqa: PLC0415
        from core.ui.search import Finder  # noqa: PLC0415
        from core.ui.slots import Slot  # noqa: PLC0415
        from groups.groups_store import refuse_new_type, refuse_short_retention  # noqa: PLC0415
        from groups.pages import find_groups, name_causes  # noqa: PLC0415
        from profiles.rules import check_types_with  # noqa: PLC0415

        check_types_with(refuse_new_type)
        check_with(refuse_short_retention)
        causes.register("group", name_causes)
        slots.register(Slot("group", gettext_lazy("Used by"), "groups:users", order=2))
        search.register(Finder("groups", gettext_lazy("Groups"), "blend", find_groups, order=1))
