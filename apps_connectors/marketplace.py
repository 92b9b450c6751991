"""The Marketplace page: what is installed, what is wrong with it, and what else there is."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps_connectors.models import App
from apps_connectors.pages import Offer, offer
from core.accounts.models import Role
from core.accounts.permissions import role_required
from plugins import marketplace, registry
from plugins.marketplace import InstalledPlugin


@dataclass(frozen=True, slots=True)
class ShownPlugin:
    """An installed plugin with its App types."""

    plugin: InstalledPlugin
    offers: list[Offer]


@require_GET
@role_required(Role.VIEWER)
def show_marketplace(request: HttpRequest) -> HttpResponse:
    """Installed plugins with their Apps; those that cannot be used; Apps whose plugin is gone."""
    plugins = marketplace.installed()
    usable = [ShownPlugin(each, [offer(app.spec) for app in each.app_types]) for each in plugins if not each.problem]
    known = [app.spec.key for app in registry.all_apps()]
    context = {
        "built_in": [shown for each in usable if each.plugin.is_built_in for shown in each.offers],
        "added": [each for each in usable if not each.plugin.is_built_in],
        "broken": [each for each in plugins if each.problem],
        "offered": marketplace.offered(),
        "orphans": App.objects.exclude(type__in=known).order_by("name"),
    }
    return render(request, "apps/marketplace.html", context)
