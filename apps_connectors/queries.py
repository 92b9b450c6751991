"""Reads of Apps for pages and commands. What is given out never holds a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps_connectors.models import App
from apps_connectors.options import mask
from core.lib.errors import NotFound
from plugins import registry
from plugins.contracts import AppSpec, OptionKind


def get_app(app_id: int) -> App:
    """One App. Raises NotFound."""
    app = App.objects.filter(pk=app_id).first()
    if app is None:
        raise NotFound("There is no such App.")
    return app


def find_spec(app: App) -> AppSpec | None:
    """What the App's plugin says of its type; None when the plugin is no longer installed."""
    try:
        return registry.get(app.type).spec
    except registry.UnknownApp:
        return None


def show_options(app: App) -> Mapping[str, Any]:
    """The options by key, with the mask in place of the secrets."""
    spec = find_spec(app)
    secret = [option.key for option in spec.options if option.kind is OptionKind.SECRET] if spec else []
    return mask(app.options, secret if app.secrets else [])
