"""Reads of Apps for pages and commands. What is given out never holds a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils.translation import gettext

from apps_connectors.models import App
from apps_connectors.options import mask
from core.lib.errors import NotFound
from core.lib.secrets import UnreadableSecrets, decrypt
from plugins import registry
from plugins.contracts import AppSpec


def get_app(app_id: int) -> App:
    """One App. Raises NotFound."""
    app = App.objects.filter(pk=app_id).first()
    if app is None:
        raise NotFound(gettext("There is no such App."))
    return app


def find_spec(app: App) -> AppSpec | None:
    """What the App's plugin says of its type; None when the plugin is no longer installed."""
    try:
        return registry.get(app.type).spec
    except registry.UnknownApp:
        return None


def show_options(app: App) -> Mapping[str, Any]:
    """The options by key, with the mask in place of the secrets."""
    return mask(app.options, kept_secrets(app))


def kept_secrets(app: App) -> frozenset[str]:
    """Which secret options are set; none when the key that encrypted them is lost, as they are of no use then."""
    try:
        return frozenset(decrypt(app.secrets, settings.GROUPAROO_SECRET_KEYS))
    except UnreadableSecrets:
        return frozenset()
