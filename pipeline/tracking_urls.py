"""Addresses of the tracking API, as client libraries know them."""

from __future__ import annotations

from django.urls import path

from pipeline import tracking_views

app_name = "tracking"
urlpatterns = [
    path("v1/<slug:call>", tracking_views.take_calls, name="calls"),
    path("v1/<slug:call>/", tracking_views.take_calls, name="calls_with_slash"),
    path("v1/projects/<str:write_key>/settings", tracking_views.show_client_settings, name="client_settings"),
]
