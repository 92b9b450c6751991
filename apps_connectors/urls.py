"""Addresses of Apps."""

from __future__ import annotations

from django.urls import path

from apps_connectors import views

app_name = "apps"
urlpatterns = [
    path("", views.list_apps, name="list"),
    path("connect/<slug:key>/", views.connect, name="connect"),
    path("<int:app_id>/", views.show_app, name="show"),
    path("<int:app_id>/edit/", views.edit_app, name="edit"),
    path("<int:app_id>/test/", views.test_app, name="test"),
    path("<int:app_id>/pause/", views.pause_app, {"paused": True}, name="pause"),
    path("<int:app_id>/resume/", views.pause_app, {"paused": False}, name="resume"),
    path("<int:app_id>/sample/", views.show_sample, name="sample"),
    path("<int:app_id>/delete/", views.delete_app, name="delete"),
]
