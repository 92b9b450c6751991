"""Addresses of groups."""

from __future__ import annotations

from django.urls import path

from groups import views

app_name = "groups"
urlpatterns = [
    path("", views.list_groups, name="list"),
    path("<int:group_id>/", views.show_group, name="show"),
    path("<int:group_id>/log/", views.show_log, name="log"),
]
