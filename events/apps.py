from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy

from core.ui import causes, search, slots
from core.ui.search import Finder
from core.ui.slots import Slot


class EventsConfig(AppConfig):
    name = "events"
    label = "events"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Pages of lower apps may name events; finding them."""
        from apps_connectors import apps_store  # noqa: PLC0415
        from events import hooks, replay  # noqa: PLC0415
        from events.pages import find_by_name  # noqa: PLC0415
        from events.queries import name_events, name_hooks  # noqa: PLC0415  models are not there before ready()
        from profiles import rules  # noqa: PLC0415

        rules.when_unique(replay.look_again)
        apps_store.rotate_with(hooks.rotate_secrets)
        causes.register("event", name_events)
        causes.register("webhook", name_hooks)
        search.register(Finder("events", gettext_lazy("Events"), "zap", find_by_name, order=7))
        slots.register(Slot("app", gettext_lazy("Webhooks that come in"), "hooks:of_app", order=2))
