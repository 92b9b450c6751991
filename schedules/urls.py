"""Addresses of schedules."""

from __future__ import annotations

from django.urls import path

from schedules import views

app_name = "schedules"
urlpatterns = [
    path("", views.list_schedules, name="list"),
    path("of-profile/<uuid:guid>/", views.show_exports_of_profile, name="of_profile"),
    path("of-group/<int:group_id>/", views.show_exports_of_group, name="of_group"),
]
