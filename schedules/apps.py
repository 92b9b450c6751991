from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy

from core.ui import causes, search, slots
from core.ui.search import Finder
from core.ui.slots import Slot


class SchedulesConfig(AppConfig):
    name = "schedules"
    label = "schedules"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """What pages of lower apps show of schedules; names of runs; finding; what follows new types and zones."""
        from core.accounts import project  # noqa: PLC0415  models are not there before ready()
        from profiles.rules import check_types_with  # noqa: PLC0415  the same
        from schedules.outbound.conditions import refuse_new_type  # noqa: PLC0415  the same
        from schedules.outbound.queries import find_by_words  # noqa: PLC0415  the same
        from schedules.pages import find_runs, find_schedules, name_people, name_runs  # noqa: PLC0415  the same
        from schedules.schedules_store import follow_zone  # noqa: PLC0415  the same

        project.when_zone_changes(follow_zone)
        check_types_with(refuse_new_type)
        causes.register("run", name_runs)
        causes.register("person", name_people)
        slots.register(Slot("profile", gettext_lazy("Where they were sent"), "schedules:of_profile"))
        slots.register(Slot("profile", gettext_lazy("Events that went out"), "subscriptions:of_profile", order=1))
        slots.register(Slot("profile", gettext_lazy("What they may ask for"), "erasures:of_profile", order=2))
        slots.register(Slot("group", gettext_lazy("Where it is sent"), "schedules:of_group"))
        slots.register(Slot("event", gettext_lazy("Where it went"), "subscriptions:of_event"))
        slots.register(Slot("app", gettext_lazy("Schedules that use it"), "schedules:of_app", order=1))
        slots.register(Slot("app", gettext_lazy("Events it gets"), "subscriptions:of_app", order=2))
        search.register(Finder("schedules", gettext_lazy("Schedules"), "clock", find_schedules, order=4))
        search.register(Finder("subscriptions", gettext_lazy("Outbound events"), "send", find_by_words, order=5))
        search.register(Finder("runs", gettext_lazy("Runs"), "refresh-cw", find_runs, order=6))
