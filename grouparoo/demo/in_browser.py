"""The demo shop by a button on Home: one App that needs no server, properties, groups, imports and an export.

Made by the same functions as by `make demo`, all of it or nothing; schedules and workers do the rest. What leaves goes
to a table of the shop's own file.
"""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from apps_connectors import apps_store
from apps_connectors.models import App
from core.accounts.actors import Actor
from core.lib.errors import Refused
from grouparoo.demo import configuration
from profiles.models import ProfilePropertyRule

NAME = "Demo shop"


def may_load() -> bool:
    """Only into an installation that holds nothing yet: it is not mixed with anyone's own data."""
    return not App.objects.exists() and not ProfilePropertyRule.objects.exists()


def load(*, actor: Actor) -> App:
    """Set the shop up. Raises Refused where there is something already, or its file cannot be made."""
    with transaction.atomic():
        if not may_load():
            raise Refused("There are Apps or properties already, and the demo shop is not mixed into them.")
        options = {"path": str(settings.VAR / "demo-shop.sqlite"), "customers": 500}
        app = apps_store.create_app("demo", NAME, options, actor=actor)
        result = apps_store.test_app(app.pk)
        if not result.ok:
            raise Refused(f"The demo shop cannot be made: {result.message}")
        configuration.configure_shop(app, without={"country"}, export_to=app)
    return app
