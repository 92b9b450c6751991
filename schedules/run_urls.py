"""Addresses of runs."""

from __future__ import annotations

from django.urls import path

from schedules import run_changes_views, schedule_views, upload_views, views

app_name = "runs"
urlpatterns = [
    path("", views.list_runs, name="list"),
    path("<int:run_id>/", views.show_run, name="show"),
    path("<int:run_id>/changes/", run_changes_views.show_changes, name="changes"),
    path("<int:run_id>/revert/", run_changes_views.revert, name="revert"),
    path("<int:run_id>/stop/", schedule_views.stop_run, name="stop"),
    path("<int:run_id>/retry/", schedule_views.retry_run, name="retry"),
    path("<int:run_id>/rejected.csv", upload_views.download_rejects, name="rejected"),
]
