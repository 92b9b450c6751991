"""Addresses of runs."""

from __future__ import annotations

from django.urls import path

from schedules import views

app_name = "runs"
urlpatterns = [
    path("", views.list_runs, name="list"),
    path("<int:run_id>/", views.show_run, name="show"),
]
