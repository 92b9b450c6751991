"""Addresses of Apps and their types below /api/v1/."""

from __future__ import annotations

from django.urls import path

from apps_connectors import api

app_name = "apps_api"
urlpatterns = [
    path("api/v1/apps/", api.Apps.as_view(), name="apps"),
    path("api/v1/apps/<int:app_id>/", api.OneApp.as_view(), name="app"),
    path("api/v1/apps/<int:app_id>/test/", api.TestApp.as_view(), name="test_app"),
    path("api/v1/apps/<int:app_id>/tables/", api.Tables.as_view(), name="tables"),
    path("api/v1/apps/<int:app_id>/sample/", api.SampleRows.as_view(), name="sample"),
    path("api/v1/apps/<int:app_id>/choices/<str:option>/", api.Choices.as_view(), name="choices"),
    path("api/v1/app-types/", api.AppTypes.as_view(), name="app_types"),
    path("api/v1/app-types/<str:key>/", api.OneAppType.as_view(), name="app_type"),
]
