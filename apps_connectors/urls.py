"""Addresses of Apps."""

from __future__ import annotations

from django.urls import path

from apps_connectors import views

app_name = "apps"
urlpatterns = [path("", views.list_apps, name="list")]
