"""Address of the Marketplace."""

from __future__ import annotations

from django.urls import path

from apps_connectors import marketplace

app_name = "marketplace"
urlpatterns = [path("", marketplace.show_marketplace, name="list")]
