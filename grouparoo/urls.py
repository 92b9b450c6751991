"""Every address of the product."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from core.ui.patterns import show_patterns
from grouparoo import notice_views
from grouparoo.alerts import api as alerts_api
from grouparoo.alerts import pages as alert_pages
from grouparoo.home import load_demo_shop, show_home

NOTICES = [
    path("", notice_views.show_notices, name="list"),
    path("dismiss/", notice_views.dismiss, name="dismiss_all"),
    path("<int:notice_id>/dismiss/", notice_views.dismiss, name="dismiss"),
]
ALERTS = [
    path("", alert_pages.edit_alerts, name="edit"),
    path("test/", alert_pages.test_alerts, name="test"),
]
ALERTS_API = [
    path("alerts/", alerts_api.Alerts.as_view(), name="alerts"),
    path("alerts/test/", alerts_api.TestAlerts.as_view(), name="test"),
    path("incidents/", alerts_api.Incidents.as_view(), name="incidents"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("pipeline.tracking_urls")),  # first what programs call a thousand times a second
    path("", include("pipeline.api_urls")),
    path("", show_home, name="home"),
    path("demo-shop/", load_demo_shop, name="load_demo_shop"),
    path("notices/", include((NOTICES, "notices"))),
    path("", include("events.hook_urls")),
    path("-/patterns", show_patterns, name="patterns"),
    path("", include("core.ui.urls")),
    path("", include("core.ui.team_urls")),
    path("settings/alerts/", include((ALERTS, "alerts"))),
    path("api/v1/", include((ALERTS_API, "alerts_api"))),
    path("profiles/", include("pipeline.urls")),
    path("properties/", include("profiles.urls")),
    path("groups/", include("groups.urls")),
    path("events/", include("pipeline.event_urls")),
    path("apps/", include("apps_connectors.urls")),
    path("marketplace/", include("apps_connectors.marketplace_urls")),
    path("schedules/", include("schedules.urls")),
    path("runs/", include("schedules.run_urls")),
    path("outbound-events/", include("schedules.outbound.urls")),
    path("erasures/", include("schedules.erasing.urls")),
    path("", include("schedules.api_urls")),
    path("", include("schedules.outbound.api_urls")),
    path("", include("schedules.erasing.api_urls")),
    path("", include("groups.api_urls")),
    path("", include("profiles.api_urls")),
    path("", include("apps_connectors.api_urls")),
    path("", include("core.rest.api_urls")),
]
